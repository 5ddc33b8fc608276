"""Accuracy on slices of the examples: by length, by label, or by any value.

Slices are chosen after looking at the data, and there are many: some of them differ by chance. Each interval is for one
slice on its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SMALL_SLICE = 30  # examples; a smaller slice says little


@dataclass(frozen=True)
class Slice:
    """Examples that have something in common.

    Attributes:
        name: what they have in common.
        indices: which of the examples they are.
        n_correct: how many of them the run gets right.
        low: lower end of Wilson's 95% interval of the share.
        high: upper end.
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
        """The share of the examples that is right."""
        return self.n_correct / self.count

    @property
    def is_small(self) -> bool:
        """Whether there are so few examples that the share may be due to chance."""
        return self.count < SMALL_SLICE


def wilson_interval(n_correct: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Return Wilson's interval of a share (Wilson 1927), which stays between 0 and 1 and is valid for few examples.

    Args:
        n_correct: examples that are right.
        count: all examples.
        z: number of standard errors; 1.96 for 95%.

    Raises:
        ValueError: there is no example, or more are right than there are.
    """
    if not 0 <= n_correct <= count or count == 0:
        raise ValueError(f"{n_correct} of {count} examples is not a share.")
    share = n_correct / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def slices_by_value(values: Sequence[object], correct: Sequence[bool]) -> list[Slice]:
    """Make a slice for each value, the worst first.

    Args:
        values: values of each example; examples without a value (None) are left out.
        correct: whether each example is right.

    Raises:
        ValueError: the two differ in length.
    """
    groups: dict[str, list[int]] = {}
    for index, (value, _) in enumerate(zip(values, correct, strict=True)):
        if value is not None:
            groups.setdefault(str(value), []).append(index)
    slices = [_slice(name, indices, correct) for name, indices in groups.items()]
    return sorted(slices, key=lambda one: (one.share, one.name))


def slices_by_length(texts: Sequence[str], correct: Sequence[bool], n_slices: int = 4) -> list[Slice]:
    """Make slices of about the same number of examples, from the shortest to the longest texts, in characters.

    Args:
        texts: texts of the examples.
        correct: whether each example is right.
        n_slices: at most; texts of one length are in one slice.

    Raises:
        ValueError: the two differ in length.
    """
    if len(texts) != len(correct):
        raise ValueError(f"{len(texts)} texts do not match {len(correct)} results: pass one for each example.")
    return slices_by_number([len(text) for text in texts], correct, n_slices, " characters")


def slices_by_number(
    values: Sequence[float | None], correct: Sequence[bool], n_slices: int = 4, unit: str = ""
) -> list[Slice]:
    """Make slices of about the same number of examples, from the smallest to the largest numbers.

    Args:
        values: a number for each example; examples without one (None) are left out.
        correct: whether each example is right.
        n_slices: at most; examples with the same number are in one slice.
        unit: written after each number.

    Raises:
        ValueError: the two differ in length.
    """
    if len(values) != len(correct):
        raise ValueError(f"{len(values)} numbers do not match {len(correct)} results: pass one for each example.")
    known = np.array([index for index, value in enumerate(values) if value is not None], dtype=np.int64)
    if not len(known):
        return []
    numbers = np.array([values[index] for index in known], dtype=np.float64)
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, n_slices + 1)[1:-1], method="lower"))
    slice_index = np.searchsorted(edges, numbers, side="left")  # an edge belongs to the slice below it
    slices = []
    for each in np.unique(slice_index):
        inside = slice_index == each
        low, high = numbers[inside].min(), numbers[inside].max()
        name = f"{_number(low)}{unit}" if low == high else f"{_number(low)} to {_number(high)}{unit}"
        slices.append(_slice(name, [int(index) for index in known[inside]], correct))
    return slices


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) and abs(value) < 1e15 else f"{value:.6g}"


def _slice(name: str, indices: Sequence[int], correct: Sequence[bool]) -> Slice:
    n_correct = sum(bool(correct[index]) for index in indices)
    return Slice(name, tuple(indices), n_correct, *wilson_interval(n_correct, len(indices)))
