"""One metric over one axis, read as far as it is needed: a long curve is drawn from a min-max pyramid.

The pyramid has segments of 16, 64, 256 ... consecutive points of a metric. For each complete one it stores the indices
of its lowest and its highest value, and its mean. Reading any range of a curve then takes some thousand segments
instead of all points: no extreme is lost, and the work grows with the logarithm of the number of points.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from workbench.types import Floats, Ints

SMALLEST_SEGMENT, FACTOR = 16, 4  # points of the smallest segment, and how many segments form one of the next size
MAX_SEGMENTS = 4096  # that are read at once; of up to twice as many points all are read
SEGMENT = np.dtype([("low", np.int64), ("high", np.int64), ("mean", np.float64)])
SegmentArray: TypeAlias = NDArray[Any]  # structured: SEGMENT
Segments: TypeAlias = Callable[[int], SegmentArray]
"""Called with a size; returns the complete segments of that many points, an array of ``SEGMENT``."""


def sizes(count: int) -> Iterator[int]:
    """Yield the segment sizes of which ``count`` points have a complete one."""
    size = SMALLEST_SEGMENT
    while size <= count:
        yield size
        size *= FACTOR


def extend(
    values: Floats, before: int, after: int, read: Segments, write: Callable[[int, int, SegmentArray], None]
) -> None:
    """Store the segments that were completed when ``before`` points became ``after``.

    Args:
        values: values of all points.
        before: how many of them are unchanged.
        after: how many there are now.
        read: returns the segments of a size: of the unchanged points, and those written by this call.
        write: called with a size, the index of the first segment, and the segments.
    """
    for size in sizes(after):
        first, last = before // size, after // size
        if first == last:  # then no larger segment was completed either
            return
        if size == SMALLEST_SEGMENT:
            segments = _of_points(values, first, last)
        else:
            segments = _of_smaller(values, read(size // FACTOR)[first * FACTOR : last * FACTOR])
        write(size, first, segments)


def _of_points(values: Floats, first: int, last: int) -> SegmentArray:
    table = np.asarray(values[first * SMALLEST_SEGMENT : last * SMALLEST_SEGMENT]).reshape(-1, SMALLEST_SEGMENT)
    segments = np.empty(len(table), SEGMENT)
    starts = np.arange(first, last) * SMALLEST_SEGMENT
    segments["low"], segments["high"] = starts + table.argmin(axis=1), starts + table.argmax(axis=1)
    segments["mean"] = table.mean(axis=1)
    return segments


def _of_smaller(values: Floats, smaller: SegmentArray) -> SegmentArray:
    table = np.asarray(smaller).reshape(-1, FACTOR)
    segments, rows = np.empty(len(table), SEGMENT), np.arange(len(table))
    segments["low"] = table["low"][rows, values[table["low"]].argmin(axis=1)]
    segments["high"] = table["high"][rows, values[table["high"]].argmax(axis=1)]
    segments["mean"] = table["mean"].mean(axis=1)
    return segments


def cover(first: int, last: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Cover a range of points by complete segments, in order.

    Args:
        first: index of the first point.
        last: index after the last point.
        size: size of the largest segments.

    Yields:
        ``(size, from, to)``: a range of segments of one size; size 1 means points.
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

    Attributes:
        axis: a value for each line of the file.
        rows: the lines that have the metric, ascending.
        values: values of the metric, as many.
        segments: its stored segments; None where there are none, and all points are read.
    """

    axis: Floats
    rows: Ints
    values: Floats
    segments: Segments | None = None

    def __len__(self) -> int:
        return len(self.values)

    def between(self, low: float | None, high: float | None) -> tuple[int, int]:
        """Return the range of points between two values of the axis, with one more point on each side.

        Args:
            low: smallest value; None for no limit.
            high: largest value; None for no limit.

        Returns:
            Index of the first point, and the index after the last.
        """
        first = 0 if low is None else max(0, bisect.bisect_left(self.rows, low, key=self._at) - 1)
        last = len(self) if high is None else min(len(self), self.count_until(high) + 1)
        return first, last

    def count_until(self, value: float) -> int:
        """Return the number of points at or before a value of the axis."""
        return bisect.bisect_right(self.rows, value, key=self._at)

    def _at(self, row: int) -> float:
        return float(self.axis[row])

    def points(self, first: int = 0, last: int | None = None) -> tuple[Floats, Floats]:
        """Return all points of a range, as x and y.

        Args:
            first: index of the first point.
            last: index after the last point; the end by default.
        """
        rows, values = self.rows[first:last], self.values[first:last]
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1:  # contiguous lines need no gather
            return self.axis[rows[0] : rows[-1] + 1], values
        return self.axis[rows], values

    def outline(self, first: int, last: int) -> tuple[Floats, Floats]:
        """Return the outline of a range: its ends, and the lowest and highest point of some thousand segments.

        Args:
            first: index of the first point.
            last: index after the last point.
        """
        size = self._size(last - first)
        if size == 1:
            return self.points(first, last)
        indices = self._extremes(first, last, size)
        return self.axis[self.rows[indices]], self.values[indices]

    def _extremes(self, first: int, last: int, size: int) -> Ints:
        indices = [np.array([first, last - 1])]
        for each, low, high in cover(first, last, size):
            if each == 1:
                indices.append(np.arange(low, high))
            else:
                segments = self._stored(each)[low:high]
                indices += [np.asarray(segments["low"]), np.asarray(segments["high"])]
        return np.unique(np.concatenate(indices))

    def means(self, first: int, last: int) -> tuple[Floats, Floats, Ints]:
        """Return the means of some thousand segments of a range.

        Args:
            first: index of the first point.
            last: index after the last point.

        Returns:
            x of the last point of each segment, its mean, and the number of its points.
        """
        size = self._size(last - first)
        indices: list[Ints] = []
        ys: list[Floats] = []
        lengths: list[Ints] = []
        for each, low, high in cover(first, last, size):
            indices.append(np.arange(low + 1, high + 1) * each - 1)
            ys.append(np.asarray(self.values[low:high] if each == 1 else self._stored(each)[low:high]["mean"]))
            lengths.append(np.full(high - low, each))
        if not indices:
            return np.empty(0), np.empty(0), np.empty(0, np.int64)
        return self.axis[self.rows[np.concatenate(indices)]], np.concatenate(ys), np.concatenate(lengths)

    def bounds(self) -> tuple[float, float]:
        """Return the lowest and the highest value; there must be one."""
        size = self._size(len(self))
        values = np.asarray(self.values if size == 1 else self.values[self._extremes(0, len(self), size)])
        return float(values.min()), float(values.max())

    def _size(self, count: int) -> int:
        """Return the size of the segments in which ``count`` points are read."""
        if self.segments is None or count <= 2 * MAX_SEGMENTS:
            return 1
        return next(size for size in sizes(count) if count // size <= MAX_SEGMENTS)

    def _stored(self, size: int) -> SegmentArray:
        assert self.segments is not None, "sizes above 1 are used only where there are segments"
        return self.segments(size)
