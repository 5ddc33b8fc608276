"""What the course holds: its guided notebooks and its lessons, read from the texts that they are made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from workbench.errors import RequestError

ROOT = Path(__file__).resolve().parents[2]
_NAME = re.compile(r"# exercise: (\d\d-[a-z-]+\.\d+)")
_SOLUTION = re.compile(
    r"^([ \t]*)# solution(?::[ ]*([^\n]*))?\n(.*?)^[ \t]*# end solution[ \t]*\n?", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Lesson:
    """A guided notebook, or a lesson with exercises.

    Attributes:
        key: ``07-fine-tuning``: the file's number and name.
        title: its first heading, without the number.
        learning_outcome: what the reader is able to do afterwards, in a sentence.
        minutes: how long it takes to read and do, as its opening says; None when it says nothing.
        exercises: their names, in order; empty for a guided notebook.
        notebook: what the reader opens.
    """

    key: str
    title: str
    learning_outcome: str
    minutes: int | None
    exercises: tuple[str, ...]
    notebook: Path


def notebooks(root: Path = ROOT) -> list[Lesson]:
    """The guided notebooks, in their order."""
    return [_part(text, text.with_suffix(".ipynb")) for text in sorted((root / "notebooks").glob("[0-9]*.py"))]


def lessons(root: Path = ROOT) -> list[Lesson]:
    """The lessons, in their order."""
    found = sorted((root / "tutorials" / "src").glob("[0-9]*.py"))
    return [_part(text, root / "tutorials" / f"{text.stem}.ipynb") for text in found]


def stubbed(cell: str) -> str:
    """A cell as the reader gets it: each solution gives way to three dots, or to what ``# solution:`` says."""
    return _SOLUTION.sub(lambda found: f"{found[1]}{found[2] or '...'}\n", _ended(cell)).rstrip("\n")


def solved(cell: str) -> str:
    """A cell with its solution, without the marks around it."""
    return _SOLUTION.sub(lambda found: found[3], _ended(cell)).rstrip("\n")


def answered(cell: str, other: str) -> str:
    """A cell with another answer, given without indentation, in its solution's place."""
    return _SOLUTION.sub(
        lambda found: "".join(f"{found[1]}{line}\n" if line.strip() else "\n" for line in other.splitlines()),
        _ended(cell),
    )


def exercise_of(cell: str) -> str | None:
    """The exercise that a cell asks for, as its line ``# exercise: 02-names.3`` says."""
    found = _NAME.search(cell)
    return found[1] if found else None


def solution_of(exercise: str, root: Path = ROOT) -> str:
    """The code of a solution. Raises RequestError where the lessons' texts are not installed."""
    for text in sorted((root / "tutorials" / "src").glob("[0-9]*.py")):
        for cell in re.split(r"^# %%.*\n", text.read_text(encoding="utf-8"), flags=re.MULTILINE):
            if exercise_of(cell) == exercise:
                kept = [line for line in solved(cell).splitlines() if not re.match(r"# exercise:|check\(", line)]
                return "\n".join(kept).strip()
    raise RequestError(f"The solution of {exercise} is not here.", "It stands in tutorials/solved of a checkout.")


def _ended(cell: str) -> str:
    return cell if cell.endswith("\n") else cell + "\n"


@lru_cache(maxsize=256)
def _read(text: Path, changed: float) -> str:
    return text.read_text(encoding="utf-8")


def _part(text: Path, notebook: Path) -> Lesson:
    source = _read(text, text.stat().st_mtime)
    words = " ".join(line.lstrip("# ") for line in source.splitlines() if line.startswith("#"))
    heading = re.search(r"^# # (.+)$", source, re.MULTILINE)
    able = re.search(r"\*\*After this (?:notebook|lesson) you can\*\* (.+?\.) ", words)
    minutes = re.search(r"\*\*Time:\*\*\D{0,20}(\d+)", words)
    return Lesson(
        key=text.stem.replace("_", "-"),
        title=re.sub(r"^\d+ · ", "", heading[1]) if heading else text.stem,
        learning_outcome=able[1] if able else "",
        minutes=int(minutes[1]) if minutes else None,
        exercises=tuple(dict.fromkeys(_NAME.findall(source))),
        notebook=notebook,
    )
