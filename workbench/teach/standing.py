"""Where the reader stands in the course: what is done, what comes next, and how long the rest takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.teach import progress
from workbench.teach.lessons import ROOT, Part, lessons, notebooks


@dataclass(frozen=True)
class Standing:
    """A part of the course, and how far the reader has come in it.

    Attributes:
        part: the guided notebook or lesson.
        done: of a lesson, the exercises that were answered right; of a notebook, 1 when it is marked as read.
        of: of a lesson, all its exercises; of a notebook 1.
        begun: whether anything of it was tried.
    """

    part: Part
    done: int
    of: int
    begun: bool

    @property
    def finished(self) -> bool:
        return self.done == self.of

    @property
    def minutes_left(self) -> float:
        """The opening's minutes, less the share that is done; 0 where the opening says nothing."""
        return (self.part.minutes or 0) * (1 - self.done / self.of)


def standings(root: Path = ROOT) -> list[Standing]:
    """All guided notebooks, then all lessons, in their order; empty where the course is not installed."""
    read, passed = progress.read(), progress.passed()
    guided = [Standing(part, int(part.key in read), 1, part.key in read) for part in notebooks(root)]
    return guided + [_lesson(part, passed) for part in lessons(root)]


def next_of(standing: list[Standing]) -> Standing | None:
    """What comes next: what was begun and is not finished, else the first that is not; None when all is done."""
    left = [one for one in standing if not one.finished]
    return next((one for one in left if one.begun), left[0] if left else None)


def next_after(key: str, standing: list[Standing]) -> Standing | None:
    """The first part behind ``key`` that is not finished, else what :func:`next_of` says."""
    place = next((i for i, one in enumerate(standing) if one.part.key == key), -1)
    return next((one for one in standing[place + 1 :] if not one.finished), None) or next_of(standing)


def _lesson(part: Part, passed: set[str]) -> Standing:
    done = sum(name in passed for name in part.exercises)
    begun = any(progress.progress(name)["tries"] for name in part.exercises)
    return Standing(part, done, max(len(part.exercises), 1), begun)
