"""The reader's progress through the course: what is done, what comes next, and how long the rest takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.teach import progress_store
from workbench.teach.lessons import ROOT, Lesson, lessons, notebooks


@dataclass(frozen=True)
class Progress:
    """A notebook or lesson of the course, and how much of it the reader has done.

    Attributes:
        lesson: the guided notebook or lesson.
        done: number of exercises passed; for a guided notebook, 1 when it is marked as read.
        total: number of exercises; 1 for a guided notebook.
        started: whether the reader has tried anything in it.
    """

    lesson: Lesson
    done: int
    total: int
    started: bool

    @property
    def finished(self) -> bool:
        """Whether everything is done."""
        return self.done == self.total

    @property
    def minutes_left(self) -> float:
        """The estimated minutes that remain; 0 when the lesson gives no estimate."""
        return (self.lesson.minutes or 0) * (1 - self.done / self.total)


def course_progress(root: Path = ROOT) -> list[Progress]:
    """Return the progress of every guided notebook, then of every lesson, in course order.

    Args:
        root: the folder of the checkout.

    Returns:
        One entry per notebook or lesson; empty when the course is not installed.
    """
    read, passed = progress_store.read_notebooks(), progress_store.passed_exercises()
    guided = [Progress(lesson, int(lesson.key in read), 1, lesson.key in read) for lesson in notebooks(root)]
    return guided + [_lesson_progress(lesson, passed) for lesson in lessons(root)]


def next_lesson(entries: Sequence[Progress]) -> Progress | None:
    """Return what to do next: the first started but unfinished entry, else the first unfinished one.

    Args:
        entries: the whole course, in order.

    Returns:
        The next entry; None when everything is done.
    """
    unfinished = [entry for entry in entries if not entry.finished]
    return next((entry for entry in unfinished if entry.started), unfinished[0] if unfinished else None)


def next_after(key: str, entries: Sequence[Progress]) -> Progress | None:
    """Return the first unfinished entry after ``key``, else the result of :func:`next_lesson`.

    Args:
        key: key of a notebook or lesson.
        entries: the whole course, in order.

    Returns:
        The next entry; None when everything is done.
    """
    index = next((i for i, entry in enumerate(entries) if entry.lesson.key == key), -1)
    return next((entry for entry in entries[index + 1 :] if not entry.finished), None) or next_lesson(entries)


def _lesson_progress(lesson: Lesson, passed: set[str]) -> Progress:
    done = sum(name in passed for name in lesson.exercises)
    started = any(progress_store.exercise_progress(name)["tries"] for name in lesson.exercises)
    return Progress(lesson, done, max(len(lesson.exercises), 1), started)
