"""One metric over one axis, read as far as it is asked for: a long curve is drawn from its segments.

A segment is 16, 64, 256 ... points of a metric that follow each other. Of each finished one it is stored where its
lowest and its highest value stand, and its mean. A look at any part of a curve then takes some thousands of segments
instead of all points: no extreme is lost, and the work grows with the logarithm of the number of points.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SMALLEST_SEGMENT, FACTOR = 16, 4  # points of the smallest segment, and how many of one size are one of the next
MAX_SEGMENTS = 4096  # segments of the size that a look is made of; of up to twice as many points all are taken
SEGMENT = np.dtype([("low", np.int64), ("high", np.int64), ("mean", np.float64)])
Segments = Callable[[int], Any]
"""Called with a size; gives the finished segments of so many points, an array of ``STRETCH``."""


def sizes(count: int) -> Iterator[int]:
    """The sizes of which ``count`` points have a whole segment."""
    size = SMALLEST_SEGMENT
    while size <= count:
        yield size
        size *= FACTOR


def extend(
    values: Any, before: int, after: int, read: Segments, write: Callable[[int, int, NDArray[np.void]], None]
) -> None:
    """Store the segments that came to an end when ``before`` points became ``after``.

    Args:
        values: of all points.
        before: how many of them are as they were.
        read: the segments of a size, those of the points before and those written by this call.
        write: called with a size, the number of the first segment, and the segments.
    """
    for size in sizes(after):
        first, last = before // size, after // size
        if first == last:  # then no larger one has ended either
            return
        if size == SMALLEST_SEGMENT:
            found = _of_points(values, first, last)
        else:
            found = _of_smaller(values, read(size // FACTOR)[first * FACTOR : last * FACTOR])
        write(size, first, found)


def _of_points(values: Any, first: int, last: int) -> NDArray[np.void]:
    table = np.asarray(values[first * SMALLEST_SEGMENT : last * SMALLEST_SEGMENT]).reshape(-1, SMALLEST_SEGMENT)
    found = np.empty(len(table), SEGMENT)
    begins = np.arange(first, last) * SMALLEST_SEGMENT
    found["low"], found["high"] = begins + table.argmin(axis=1), begins + table.argmax(axis=1)
    found["mean"] = table.mean(axis=1)
    return found


def _of_smaller(values: Any, smaller: Any) -> NDArray[np.void]:
    table = np.asarray(smaller).reshape(-1, FACTOR)
    found, rows = np.empty(len(table), SEGMENT), np.arange(len(table))
    found["low"] = table["low"][rows, values[table["low"]].argmin(axis=1)]
    found["high"] = table["high"][rows, values[table["high"]].argmax(axis=1)]
    found["mean"] = table["mean"].mean(axis=1)
    return found


def cover(first: int, last: int, size: int) -> Iterator[tuple[int, int, int]]:
    """The points ``first`` to ``last`` as whole segments ``(size, from, to)``, in order, none longer than ``size``.

    Of size 1 these are points.
    """
    if size < SMALLEST_SEGMENT:
        if first < last:
            yield 1, first, last
        return
    low, high = -(-first // size), last // size
    if low >= high:
        yield from cover(first, last, size // FACTOR)
        return
    yield from cover(first, low * size, size // FACTOR)
    yield size, low, high
    yield from cover(high * size, last, size // FACTOR)


@dataclass(frozen=True)
class Trace:
    """One metric over one axis.

    Args:
        axis: a value for each line of the file.
        rows: the lines that have the metric, rising.
        values: of the metric, as many.
        segments: what was stored of it; None where there is nothing, and all points are read.
    """

    axis: Any
    rows: Any
    values: Any
    segments: Segments | None = None

    def __len__(self) -> int:
        return len(self.values)

    def between(self, low: float | None, high: float | None) -> tuple[int, int]:
        """The points between two values of the axis and one more on each side: the first, and that after the last."""
        first = 0 if low is None else max(0, bisect.bisect_left(self.rows, low, key=self._at) - 1)
        last = len(self) if high is None else min(len(self), self.count_until(high) + 1)
        return first, last

    def count_until(self, value: float) -> int:
        """How many points stand at or before ``value`` of the axis."""
        return bisect.bisect_right(self.rows, value, key=self._at)

    def _at(self, row: Any) -> float:
        return float(self.axis[row])

    def points(self, first: int = 0, last: int | None = None) -> tuple[Floats, Floats]:
        """All points from number ``first`` to before ``last``, as x and y."""
        rows, values = self.rows[first:last], self.values[first:last]
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1:  # no gather where the lines stand together
            return self.axis[rows[0] : rows[-1] + 1], values
        return self.axis[rows], values

    def outline(self, first: int, last: int) -> tuple[Floats, Floats]:
        """The same part with its ends and, of each of some thousand segments, the lowest and the highest point."""
        size = self._size(last - first)
        if size == 1:
            return self.points(first, last)
        kept = self._extremes(first, last, size)
        return self.axis[self.rows[kept]], self.values[kept]

    def _extremes(self, first: int, last: int, size: int) -> Ints:
        places = [np.array([first, last - 1])]
        for each, low, high in cover(first, last, size):
            if each == 1:
                places.append(np.arange(low, high))
            else:
                found = self._stored(each)[low:high]
                places += [np.asarray(found["low"]), np.asarray(found["high"])]
        return np.unique(np.concatenate(places))

    def means(self, first: int, last: int) -> tuple[Floats, Floats, Ints]:
        """The same part as the means of some thousand segments: x of their last points, y, and points in each."""
        size, places, ys, lengths = self._size(last - first), [], [], []
        for each, low, high in cover(first, last, size):
            places.append(np.arange(low + 1, high + 1) * each - 1)
            ys.append(np.asarray(self.values[low:high] if each == 1 else self._stored(each)[low:high]["mean"]))
            lengths.append(np.full(high - low, each))
        if not places:
            return np.empty(0), np.empty(0), np.empty(0, np.int64)
        return self.axis[self.rows[np.concatenate(places)]], np.concatenate(ys), np.concatenate(lengths)

    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value of all; there must be one."""
        size = self._size(len(self))
        values = np.asarray(self.values if size == 1 else self.values[self._extremes(0, len(self), size)])
        return float(values.min()), float(values.max())

    def _size(self, count: int) -> int:
        """Points of the segments that ``count`` points are looked at in."""
        if self.segments is None or count <= 2 * MAX_SEGMENTS:
            return 1
        return next(size for size in sizes(count) if count // size <= MAX_SEGMENTS)

    def _stored(self, size: int) -> Any:
        assert self.segments is not None, "sizes above 1 are only taken where there are segments"
        return self.segments(size)
