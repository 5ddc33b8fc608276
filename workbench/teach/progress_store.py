"""The reader's progress in the tutorials, stored in the workspace for notebooks and dashboard."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict, cast

from workbench.files import read_json, write_json
from workbench.locks import waiting_lock
from workbench.types import JsonObject
from workbench.workspace import Workspace

FILE = "progress.json"


class ExerciseProgress(TypedDict):
    """What the reader has done in one exercise.

    Attributes:
        tries: number of attempts.
        hints: number of hints seen.
        solution: whether the solution was seen.
        passed: when it was passed for the first time, in UTC; None before that.
    """

    tries: int
    hints: int
    solution: bool
    passed: str | None


def exercise_progress(exercise: str) -> ExerciseProgress:
    """Return the progress in an exercise.

    Args:
        exercise: its name.
    """
    start = ExerciseProgress(tries=0, hints=0, solution=False, passed=None)
    return cast("ExerciseProgress", {**start, **_exercises().get(exercise, {})})


def passed_exercises() -> set[str]:
    """Return the exercises that were answered correctly at least once."""
    return {name for name, progress in _exercises().items() if progress.get("passed")}


def record_attempt(exercise: str, right: bool) -> ExerciseProgress:
    """Record one attempt.

    Args:
        exercise: its name.
        right: whether the answer was right.

    Returns:
        The progress after it.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds") if right else None

    def change(progress: ExerciseProgress) -> None:
        progress["tries"] += 1
        progress["passed"] = progress["passed"] or now

    return _update(exercise, change)


def record_hint(exercise: str) -> ExerciseProgress:
    """Record that one more hint was seen.

    Args:
        exercise: its name.

    Returns:
        The progress after it.
    """

    def change(progress: ExerciseProgress) -> None:
        progress["hints"] += 1

    return _update(exercise, change)


def record_solution(exercise: str) -> ExerciseProgress:
    """Record that the solution was seen.

    Args:
        exercise: its name.

    Returns:
        The progress after it.
    """

    def change(progress: ExerciseProgress) -> None:
        progress["solution"] = True

    return _update(exercise, change)


def reset_lesson(lesson: str) -> None:
    """Delete the progress in all exercises of a lesson.

    Args:
        lesson: its key, such as ``"02-names"``.
    """
    with waiting_lock(_file().with_suffix(".lock")):
        remaining = {name: progress for name, progress in _exercises().items() if name.split(".")[0] != lesson}
        _write("exercises", remaining)


def read_notebooks() -> set[str]:
    """Return the keys of the guided notebooks that are marked as read, such as ``03-attention``."""
    keys = _document().get("read")
    return {key for key in keys if isinstance(key, str)} if isinstance(keys, list) else set()


def mark_read(notebook: str, is_read: bool = True) -> None:
    """Mark a guided notebook as read or unread.

    Args:
        notebook: its key.
        is_read: whether it is read.
    """
    with waiting_lock(_file().with_suffix(".lock")):
        others = read_notebooks() - {notebook}
        _write("read", sorted(others | {notebook} if is_read else others))


def _update(exercise: str, change: Callable[[ExerciseProgress], None]) -> ExerciseProgress:
    with waiting_lock(_file().with_suffix(".lock")):
        progress = exercise_progress(exercise)
        change(progress)
        _write("exercises", {**_exercises(), exercise: progress})
    return progress


def _write(key: str, value: Any) -> None:
    write_json(_file(), {**_document(), key: value})


def _file() -> Path:
    return Workspace.current().root / FILE


def _document() -> JsonObject:
    document = read_json(_file())
    return document if isinstance(document, dict) else {}


def _exercises() -> dict[str, JsonObject]:
    exercises = _document().get("exercises")
    if not isinstance(exercises, dict):
        return {}
    return {name: progress for name, progress in exercises.items() if isinstance(progress, dict)}
