"""The guided notebooks and lessons of the course, read from the texts that they are built from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from workbench.course_files import course_root
from workbench.errors import RequestError

ROOT = course_root()
_NAME = re.compile(r"# exercise: (\d\d-[a-z-]+\.\d+)")
_SOLUTION = re.compile(
    r"^([ \t]*)# solution(?::[ ]*([^\n]*))?\n(.*?)^[ \t]*# end solution[ \t]*\n?", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Lesson:
    """A guided notebook, or a lesson with exercises.

    Attributes:
        key: the file's number and name, such as ``07-fine-tuning``.
        title: its first heading, without the number.
        learning_outcome: what the reader can do afterwards, as a sentence.
        minutes: the time that its opening gives; None if it gives none.
        exercises: their names, in order; empty for a guided notebook.
        notebook: the file that the reader opens.
    """

    key: str
    title: str
    learning_outcome: str
    minutes: int | None
    exercises: tuple[str, ...]
    notebook: Path


def notebooks(root: Path = ROOT) -> list[Lesson]:
    """Return the guided notebooks, in order.

    Args:
        root: the folder of the checkout.
    """
    return [_lesson(text, text.with_suffix(".ipynb")) for text in sorted((root / "notebooks").glob("[0-9]*.py"))]


def lessons(root: Path = ROOT) -> list[Lesson]:
    """Return the lessons, in order.

    Args:
        root: the folder of the checkout.
    """
    return [_lesson(text, root / "tutorials" / f"{text.stem}.ipynb") for text in _lesson_texts(root)]


def stubbed(cell: str) -> str:
    """Replace each solution by three dots, or by the text after ``# solution:``, as in the reader's version.

    Args:
        cell: the source of a code cell.
    """
    return _SOLUTION.sub(lambda match: f"{match[1]}{match[2] or '...'}\n", _with_newline(cell)).rstrip("\n")


def solved(cell: str) -> str:
    """Remove the marks around solutions, as in the solved version.

    Args:
        cell: the source of a code cell.
    """
    return _SOLUTION.sub(lambda match: match[3], _with_newline(cell)).rstrip("\n")


def answered(cell: str, answer: str) -> str:
    """Replace each solution by another answer.

    Args:
        cell: the source of a code cell.
        answer: code without indentation.
    """
    return _SOLUTION.sub(
        lambda match: "".join(f"{match[1]}{line}\n" if line.strip() else "\n" for line in answer.splitlines()),
        _with_newline(cell),
    )


def exercise_of(cell: str) -> str | None:
    """Return the exercise of a cell, from its line ``# exercise: 02-names.3``.

    Args:
        cell: the source of a code cell.
    """
    match = _NAME.search(cell)
    return match[1] if match else None


def solution_of(exercise: str, root: Path = ROOT) -> str:
    """Return the code of an exercise's solution.

    Args:
        exercise: its name.
        root: the folder of the checkout.

    Raises:
        RequestError: the texts of the lessons are not installed.
    """
    for text in _lesson_texts(root):
        for cell in re.split(r"^# %%.*\n", text.read_text(encoding="utf-8"), flags=re.MULTILINE):
            if exercise_of(cell) == exercise:
                lines = [line for line in solved(cell).splitlines() if not re.match(r"# exercise:|check\(", line)]
                return "\n".join(lines).strip()
    raise RequestError(
        f"The solution of {exercise} is not installed.", "It is in the folder tutorials/solved of the repository."
    )


def _lesson_texts(root: Path) -> list[Path]:
    return sorted((root / "tutorials" / "src").glob("[0-9]*.py"))


def _with_newline(cell: str) -> str:
    return cell if cell.endswith("\n") else cell + "\n"


@lru_cache(maxsize=256)
def _read(text: Path, modified: float) -> str:
    return text.read_text(encoding="utf-8")


def _lesson(text: Path, notebook: Path) -> Lesson:
    source = _read(text, text.stat().st_mtime)
    prose = " ".join(line.lstrip("# ") for line in source.splitlines() if line.startswith("#"))
    heading = re.search(r"^# # (.+)$", source, re.MULTILINE)
    outcome = re.search(r"\*\*After this (?:notebook|lesson) you can\*\* (.+?\.) ", prose)
    minutes = re.search(r"\*\*Time:\*\*\D{0,20}(\d+)", prose)
    return Lesson(
        key=text.stem.replace("_", "-"),
        title=re.sub(r"^\d+ · ", "", heading[1]) if heading else text.stem,
        learning_outcome=outcome[1] if outcome else "",
        minutes=int(minutes[1]) if minutes else None,
        exercises=tuple(dict.fromkeys(_NAME.findall(source))),
        notebook=notebook,
    )
