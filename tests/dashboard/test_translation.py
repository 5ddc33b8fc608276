"""Every text of every page goes through translation: in the pseudo-language, no plain English is left but data."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import dashboard
from tests.dashboard.fake_runs import fake_language_run, fake_range_test, fake_run
from tests.dashboard.pages import PAGES, open_page, unfold, well
from workbench.check import presets
from workbench.data.catalogue.entries import catalogue
from workbench.models.base import models
from workbench.spec import RunSpec, TrainingSpec
from workbench.tasks.base import tasks
from workbench.tuning.base import tunings
from workbench.workspace import Workspace

SOURCES = sorted(Path(dashboard.__file__).parent.rglob("*.py"))

# What a page shows as it is: code, icons, addresses, names of runs, files, fields, metrics of a SQL row, units.
DATA = re.compile(
    r"`[^`]*`|:material/\w+:|:[a-z]+\[|<[^<>]*>|&\w+;|\]\([^)]*\)|%\{[^}]*\}|"
    r"\d{8}-\d{6}-[\w.-]+|\b[\w-]+ \([0-9a-f]{4}\)|/[\w./-]+|\b\w+(?:[._-]\w+)+\b|\b[\w-]+\.(?:yaml|csv|json|txt)\b"
)
# Words that are the same in every language, and data of the fake runs.
WORDS = {
    "adam", "auto", "constant", "core", "cosine", "cpu", "csv", "cuda", "full", "gpu", "holm", "json", "linear",
    "linux", "parquet", "paragraph", "peft", "python", "raise", "random", "sql", "streamlit", "torch", "transformers",
    "workbench", "yaml",
    "alert", "fresh", "lives", "man", "negative", "positive", "rotten", "script", "storyteller", "the", "war", "who",
    "young",
}  # fmt: skip
# Fields of the table of runs: people write them in its SQL filter.
FIELDS = {
    "accuracy", "archived", "created", "high", "loss", "low", "macro", "matthews", "metric", "notes", "perplexity",
    "seconds", "state", "step", "steps", "tags", "title", "value",
}  # fmt: skip
# Sentences that the library composes of values, and error messages: they come in English.
LIBRARY = re.compile(
    r"No difference can be claimed|Pareto front|is the best by|cannot be compared example by example|"
    r"were packed into"
)
PLAIN = re.compile(r"[A-Za-z]*[aeiou][A-Za-z]*")  # accents replace every vowel of a translated text
ATTRIBUTES = ("label", "help", "placeholder", "body", "message", "caption", "title", "value", "text")


@pytest.fixture
def pseudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_LANGUAGE", "pseudo")


def visible(test: AppTest) -> Iterator[str]:
    """Every text of a page: of elements, labels, options, help, columns of tables, titles of figures."""
    for element in [*test.main, *test.sidebar]:  # every block and element below these
        yield from _of_proto(getattr(element, "proto", None), getattr(element, "type", ""))


def _of_proto(proto: Any, kind: str) -> Iterator[str]:
    if proto is None:
        return
    content_is_data = kind in ("code", "text", "text_area", "iframe")
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


def untranslated(test: AppTest, data: set[str]) -> list[str]:
    """The texts that contain a plain English word which is no data."""
    texts = []
    for text in (text for text in visible(test) if not LIBRARY.search(text)):
        rest = DATA.sub(" ", text.replace("\\", ""))
        plain = {word.lower() for word in PLAIN.findall(rest) if len(word) > 2}
        if plain - WORDS - data:
            texts.append(f"{sorted(plain - WORDS - data)}: {text[:200]}")
    return texts


@pytest.fixture(scope="module")
def names() -> set[str]:
    """Words of names in registries, the catalogue and specs: they are identifiers in every language."""
    fields = [*RunSpec.model_fields, *TrainingSpec.model_fields]
    entries = catalogue().datasets
    texts = [*tasks.names(), *models.names(), *tunings.names(), *presets(), *entries, *fields]
    texts += [
        word for entry in entries.values() for word in (entry.language, entry.licence, entry.citation, entry.size)
    ]
    return {word.lower() for text in texts for word in re.findall(r"[A-Za-z]+", text)}


def check(test: AppTest, names: set[str]) -> None:
    left = untranslated(well(test), names)
    assert not left, "\n".join(left)
    assert any("[" in text for text in visible(test)), "the page is not in the pseudo-language"


@pytest.mark.usefixtures("pseudo", "workspace")
@pytest.mark.parametrize("page", PAGES)
def test_an_empty_page_is_translated(page: str, names: set[str]) -> None:
    check(open_page(page), names)


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("page", ["home", "launch", "sweeps", "settings", "learn"])
def test_a_page_beside_runs_is_translated(page: str, workspace: Workspace, names: set[str]) -> None:
    for state in ("succeeded", "succeeded", "running", "queued", "failed"):
        fake_run(workspace, state)
    check(open_page(page), names)


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("state", ["succeeded", "running", "queued", "stopped", "interrupted"])
def test_a_run_is_translated(state: str, workspace: Workspace, names: set[str]) -> None:
    run = fake_run(workspace, state)
    test = open_page("runs", run=run.id, group="tuning")
    keys = ("run.data", "run.spec", "run.usage", "run.log") if state == "succeeded" else ()
    check(unfold(test, *keys), names | FIELDS)


@pytest.mark.usefixtures("pseudo")
def test_other_kinds_of_runs_are_translated(workspace: Workspace, names: set[str]) -> None:
    for run in (fake_range_test(workspace), fake_language_run(workspace)):
        check(open_page("runs", run=run.id), names | FIELDS)


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize(
    "kind", ["examples", "confusion", "calibration", "thresholds", "slices", "labels", "faithfulness", "heads"]
)
def test_a_comparison_is_translated(kind: str, workspace: Workspace, names: set[str]) -> None:
    runs = [fake_run(workspace, seed=0), fake_run(workspace, tuning="lora", seed=1)]
    test = open_page("compare", runs=",".join(run.id for run in runs), evidence=kind)
    check(test, names)


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("runs", [0, 1])
def test_the_choice_of_runs_to_compare_is_translated(runs: int, workspace: Workspace, names: set[str]) -> None:
    first, _second = fake_run(workspace), fake_run(workspace, seed=1)
    check(open_page("compare", runs=first.id if runs else "gone"), names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_variable_hides_the_translation_function(path: Path) -> None:
    """A ``for _, name in ...`` inside a function makes ``_`` a variable of the whole function."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not any(isinstance(node, ast.alias) and node.name == "_" for node in ast.walk(tree)):
        return
    lines = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "_" and isinstance(node.ctx, ast.Store)
    ]
    assert not lines, f"{path}: `_` is assigned in lines {lines}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_translated_texts_can_be_extracted(path: Path) -> None:
    """gettext's tools read literals; an f-string would never be found in a catalogue."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "N_", "ngettext"):
            texts = node.args[:2] if node.func.id == "ngettext" else node.args[:1]
            assert not any(isinstance(text, ast.JoinedStr) for text in texts), f"{path}:{node.lineno}"
