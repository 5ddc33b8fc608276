"""How far the reader has come in the tutorials: kept in the workspace, seen by notebooks and dashboard."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.files import read_json, waiting_lock, write_json
from workbench.workspace import Workspace

FILE = "progress.json"


def exercise_progress(exercise: str) -> dict[str, Any]:
    """``tries``, ``hints`` seen, whether the ``solution`` was seen, and ``passed`` (when, in UTC, or None)."""
    return {"tries": 0, "hints": 0, "solution": False, "passed": None, **_all().get(exercise, {})}


def passed_exercises() -> set[str]:
    """The exercises that were answered right at least once."""
    return {exercise for exercise, found in _all().items() if found.get("passed")}


def record_attempt(exercise: str, right: bool) -> dict[str, Any]:
    """Note one try; what is known of the exercise then."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return _note(exercise, lambda was: {"tries": was["tries"] + 1, "passed": was["passed"] or (now if right else None)})


def record_hint(exercise: str) -> dict[str, Any]:
    """Note that one more hint was seen; what is known of the exercise then."""
    return _note(exercise, lambda was: {"hints": was["hints"] + 1})


def record_solution(exercise: str) -> dict[str, Any]:
    """Note that the solution was seen; what is known of the exercise then."""
    return _note(exercise, lambda was: {"solution": True})


def reset_lesson(lesson: str) -> None:
    """Begin a lesson anew, as if none of its exercises had been tried."""
    with waiting_lock(_file().with_suffix(".lock")):
        _write(exercises={name: one for name, one in _all().items() if name.split(".")[0] != lesson})


def read_notebooks() -> set[str]:
    """The guided notebooks that the reader marked as read, by their keys, such as ``03-attention``."""
    found = _document().get("read")
    return {key for key in found if isinstance(key, str)} if isinstance(found, list) else set()


def mark_read(notebook: str, is_read: bool = True) -> None:
    """Note that a guided notebook was read, or that it was not."""
    with waiting_lock(_file().with_suffix(".lock")):
        others = read_notebooks() - {notebook}
        _write(read=sorted(others | {notebook} if is_read else others))


def _note(exercise: str, change: Any) -> dict[str, Any]:
    with waiting_lock(_file().with_suffix(".lock")):
        now = exercise_progress(exercise)
        now |= change(now)
        _write(exercises={**_all(), exercise: now})
    return now


def _write(**changes: Any) -> None:
    write_json(_file(), {**_document(), **changes})


def _file() -> Path:
    return Workspace.current().root / FILE


def _document() -> dict[str, Any]:
    found = read_json(_file())
    return found if isinstance(found, dict) else {}


def _all() -> dict[str, dict[str, Any]]:
    noted = _document().get("exercises")
    return {k: v for k, v in noted.items() if isinstance(v, dict)} if isinstance(noted, dict) else {}
