"""Finds the texts of a page that did not go through translation."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from streamlit.testing.v1 import AppTest

from tests.dashboard.pages import well
from workbench.check import presets
from workbench.data.catalogue.entries import catalogue
from workbench.models.base import models
from workbench.spec import DataSpec, RunSpec, TrainingSpec
from workbench.tasks.base import tasks
from workbench.tuning.base import tunings

# What a page shows as it is: code, icons, addresses, names of runs, files, fields, metrics of a SQL row, units.
DATA = re.compile(
    r"a fine film, number \d+, with a long second act|the film was good[\w ]*|the film was bad|"
    r"`[^`]*`|:material/\w+:|:[a-z]+\[|<[^<>]*>|&\w+;|\]\([^)]*\)|%\{[^}]*\}|"
    r"\d{8}-\d{6}-[\w.-]+|\b[\w-]+ \([0-9a-f]{4}\)|/[\w./-]+|\b\w+(?:[._-]\w+)+\b|\b[\w-]+\.(?:yaml|csv|json|txt)\b"
)
# Words that are the same in every language, and data of the fake runs.
WORDS = {
    "adam", "auto", "balanced", "constant", "core", "cosine", "cpu", "csv", "cuda", "false", "full", "gpu", "holm",
    "json", "linear", "loaded", "linux", "mean", "parquet", "paragraph", "peft", "pooler", "python", "raise", "random",
    "sql", "streamlit", "torch", "transformers",
    "workbench", "yaml",
    "alert", "fresh", "lives", "man", "negative", "positive", "rotten", "script", "storyteller", "the", "war", "who",
    "young",
}  # fmt: skip
# Fields of the table of runs: people write them in its SQL filter.
FIELDS = {
    "accuracy", "archived", "created", "high", "loss", "low", "macro", "matthews", "metric", "notes", "perplexity",
    "seconds", "state", "step", "steps", "tags", "title", "value",
}  # fmt: skip
PLAIN = re.compile(r"[A-Za-z]*[aeiou][A-Za-z]*")  # accents replace every vowel of a translated text
ATTRIBUTES = ("label", "help", "placeholder", "body", "message", "caption", "title", "value", "text")


def visible(test: AppTest) -> Iterator[str]:
    """Every text of a page: of elements, labels, options, help, columns of tables, titles of figures."""
    for element in [*test.main, *test.sidebar]:  # every block and element below these
        yield from _of_proto(getattr(element, "proto", None), getattr(element, "type", ""))


def _of_proto(proto: Any, kind: str) -> Iterator[str]:
    if proto is None:
        return
    content_is_data = kind in ("code", "html", "iframe", "text", "text_area")
    names = ("label", "help", "placeholder") if content_is_data else ATTRIBUTES
    for field, value in proto.ListFields():
        if isinstance(value, str) and field.name in names:
            yield value
        elif field.name == "options":
            yield from (option if isinstance(option, str) else option.content for option in value)
        elif field.name == "columns" and isinstance(value, str) and value:
            for column in json.loads(value).values():
                yield from (text for name in ("label", "help") if (text := (column or {}).get(name)))
        elif field.name == "spec" and isinstance(value, str) and kind == "plotly_chart":
            yield from _of_figure(json.loads(value))
        elif field.name in ("expandable", "popover", "form", "dialog") and hasattr(value, "ListFields"):
            yield from _of_proto(value, kind)


def _of_figure(spec: dict[str, Any]) -> Iterator[str]:
    layout = spec.get("layout", {})
    for part in (layout, *(layout.get(axis, {}) for axis in ("xaxis", "yaxis"))):
        title = part.get("title") or {}
        yield title if isinstance(title, str) else title.get("text") or ""
    yield from (note.get("text") or "" for note in layout.get("annotations", ()))


def untranslated(test: AppTest, data: frozenset[str]) -> list[str]:
    """The texts that contain a plain English word which is no data."""
    texts = []
    for text in visible(test):
        if text in choices():
            continue
        rest = DATA.sub(" ", text.replace("\\", ""))
        plain = {word.lower() for word in PLAIN.findall(rest) if len(word) > 2}
        if plain - WORDS - data:
            texts.append(f"{sorted(plain - WORDS - data)}: {text[:200]}")
    return texts


@functools.cache
def choices() -> frozenset[str]:
    """The values that a field of a spec allows: a select box shows them as they are written in a spec."""
    annotations = [field.annotation for model in (DataSpec, TrainingSpec) for field in model.model_fields.values()]
    kinds = [kind for annotation in annotations for kind in (annotation, *get_args(annotation))]
    return frozenset(str(value) for kind in kinds if get_origin(kind) is Literal for value in get_args(kind))


@functools.cache
def names() -> frozenset[str]:
    """Words of names in registries, the catalogue and specs: they are identifiers in every language."""
    fields = [*RunSpec.model_fields, *TrainingSpec.model_fields]
    entries = catalogue().datasets
    texts = [*tasks.names(), *models.names(), *tunings.names(), *presets(), *entries, *fields]
    texts += [
        word for entry in entries.values() for word in (entry.language, entry.licence, entry.citation, entry.size)
    ]
    return frozenset(word.lower() for text in texts for word in re.findall(r"[A-Za-z]+", text))


def check(test: AppTest, *data: str) -> None:
    """Assert that a page in the pseudo-language contains no plain English.

    Args:
        test: the page.
        data: further words that are data.
    """
    left = untranslated(well(test), names() | frozenset(data))
    assert not left, "\n".join(left)
    assert any("[" in text for text in visible(test)), "the page is not in the pseudo-language"
