"""``workbench data check``: what a file or data set holds, and which texts of its parts are nearly the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.cli.output import console, download_bars
from workbench.errors import RequestError
from workbench.workspace import Workspace

SHOWN = 5  # near-duplicates that are printed for each two parts; --json has more
LONGEST = 100  # characters


def check_and_tell(
    name: str, task: str | None, test: str | None, columns: list[str], alike: float
) -> tuple[dict[str, Any], Callable[[], None]]:
    """What was found, and how to print it. Raises DataError, FetchError, RequestError."""
    from workbench.data.catalogue.entries import catalogue
    from workbench.data.overview import check_data
    from workbench.spec import DataSpec
    from workbench.tasks.base import tasks

    entry = catalogue().datasets.get(name)
    kind = tasks.get(task or (entry.task if entry else "text-classification"))
    given = {"train": name, "columns": _columns(columns), **({"test": test} if test else {})}
    with download_bars() as progress:
        roles = kind(kind.Config()).columns()
        found = check_data(DataSpec.model_validate(given), roles, Workspace.current(), alike, progress)
    return found, lambda: _tell(found, alike)


def _columns(given: list[str]) -> dict[str, str]:
    parted = [text.partition("=") for text in given]
    for text, (role, _, column) in zip(given, parted, strict=True):
        if not role or not column:
            raise RequestError(f"--column {text!r} is not ROLE=COLUMN.", "For example: --column text=review.")
    return {role: column for role, _, column in parted}


def _tell(found: dict[str, Any], alike: float) -> None:
    for part, what in found["parts"].items():
        lengths = what["characters"]
        labels = ", ".join(f"{label}: {count:,}" for label, count in list((what["labels"] or {}).items())[:10])
        _say(f"{part}: {what['rows']:,} rows{f' ({labels})' if labels else ''}; characters: median {lengths['p50']:,}, "
             f"95% up to {lengths['p95']:,}, longest {lengths['max']:,}")  # fmt: skip
    for note in found["notes"]:
        _say(f"- {note}")
    if found["near_duplicates"] is None:
        _say("Near-duplicates were not looked for: there are too many texts.")
    for overlap in found["near_duplicates"] or []:
        first, second = overlap["between"]
        least = "at least " if overlap["unchecked"] else ""
        _say(f"{least}{overlap['count']:,} of {overlap['of']:,} texts of {second} stand nearly so in {first} "
             f"({alike:.0%} or more of their character 5-grams are shared)")  # fmt: skip
        for pair in overlap["pairs"][:SHOWN]:
            _say(f"  {pair['similarity']:.2f}  {pair['place']}: {_cut(pair['text'])}")
            _say(f"        {pair['other_place']}: {_cut(pair['other_text'])}")


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False)


def _cut(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
