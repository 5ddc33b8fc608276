"""Where a run is better and where worse: the share it gets right by length, by label, or by any value.

A slice is chosen after looking, and there are many: that one of them stands out is to be expected. An interval is for
one slice seen alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SMALL_SLICE = 30  # examples: of fewer, little can be said


@dataclass(frozen=True)
class Slice:
    """Examples that have something in common.

    Attributes:
        name: what they have in common.
        indices: which they are, among all that were given.
        n_correct: how many of them the run gets right.
        low, high: Wilson's 95% interval of the share.
    """

    name: str
    indices: tuple[int, ...]
    n_correct: int
    low: float
    high: float

    @property
    def count(self) -> int:
        return len(self.indices)

    @property
    def share(self) -> float:
        return self.n_correct / self.count

    @property
    def is_small(self) -> bool:
        """Whether there are so few that chance may have made it."""
        return self.count < SMALL_SLICE


def wilson_interval(right: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's interval of a share (Wilson 1927): it stays between 0 and 1, and holds with few examples, too.

    Args:
        right, count: ``right`` of ``count`` examples.
        z: how many standard errors; 1.96 for 95%.

    Raises:
        ValueError: there is no example, or more are right than there are.
    """
    if not 0 <= right <= count or count == 0:
        raise ValueError(f"{right} of {count} examples is no share.")
    share = right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def slices_by_value(values: Sequence[object], correct: Sequence[bool]) -> list[Slice]:
    """A slice for each value, the worst first; examples without a value (None) are left out.

    Raises:
        ValueError: the two differ in length.
    """
    groups: dict[str, list[int]] = {}
    for place, (value, _) in enumerate(zip(values, correct, strict=True)):
        if value is not None:
            groups.setdefault(str(value), []).append(place)
    found = [_slice(name, places, correct) for name, places in groups.items()]
    return sorted(found, key=lambda one: (one.share, one.name))


def slices_by_length(texts: Sequence[str], correct: Sequence[bool], parts: int = 4) -> list[Slice]:
    """Slices of about as many examples each, from the shortest to the longest texts, in characters.

    Texts of one length are in one slice, so there may be fewer slices than ``parts``.
    """
    if len(texts) != len(correct):
        raise ValueError(f"{len(texts)} texts and {len(correct)} judgements were given: as many are needed.")
    return slices_by_number([len(text) for text in texts], correct, parts, " characters")


def slices_by_number(
    values: Sequence[float | None], correct: Sequence[bool], parts: int = 4, unit: str = ""
) -> list[Slice]:  # fmt: skip
    """Slices of about as many examples each, from the smallest to the largest numbers.

    Args:
        values: a number for each example; those without one (None) are left out.
        correct: whether each was answered right.
        parts: slices at most: examples with the same number are in one.
        unit: what is said behind a number.

    Raises:
        ValueError: the two differ in length.
    """
    if len(values) != len(correct):
        raise ValueError(f"{len(values)} numbers and {len(correct)} judgements were given: as many are needed.")
    known = np.array([place for place, value in enumerate(values) if value is not None], dtype=np.int64)
    if not len(known):
        return []
    numbers = np.array([values[place] for place in known], dtype=np.float64)
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, parts + 1)[1:-1], method="lower"))
    part = np.searchsorted(edges, numbers, side="left")  # an edge belongs to the slice below it
    found = []
    for number in np.unique(part):
        inside = part == number
        low, high = numbers[inside].min(), numbers[inside].max()
        name = f"{_told(low)}{unit}" if low == high else f"{_told(low)} to {_told(high)}{unit}"
        found.append(_slice(name, [int(place) for place in known[inside]], correct))
    return found


def _told(value: float) -> str:
    return f"{int(value):,}" if value == int(value) and abs(value) < 1e15 else f"{value:.6g}"


def _slice(name: str, places: Sequence[int], correct: Sequence[bool]) -> Slice:
    right = sum(bool(correct[place]) for place in places)
    return Slice(name, tuple(places), right, *wilson_interval(right, len(places)))
