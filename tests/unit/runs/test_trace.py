"""Segments of long curves, checked against all points: no extreme is lost in any range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from workbench.runs.series import pyramid as module
from workbench.runs.series.curves import smooth
from workbench.runs.series.pyramid import SEGMENT, Trace, cover, extend


class MemoryStore:
    """Store segments in memory, as the index stores them in files."""

    def __init__(self) -> None:
        self.values = np.empty(0)
        self.segments: dict[int, Any] = {}

    def read(self, size: int) -> Any:
        return self.segments.get(size, np.empty(0, SEGMENT))[: len(self.values) // size]

    def write(self, size: int, at: int, new: Any) -> None:
        self.segments[size] = np.concatenate([self.segments.get(size, np.empty(0, SEGMENT))[:at], new])

    def put(self, at: int, new: Any) -> None:
        """Write ``new`` values from position ``at`` and drop the old ones there."""
        self.values = np.concatenate([self.values[:at], new])
        extend(self.values, at, len(self.values), self.read, self.write)

    def trace(self) -> Trace:
        count = len(self.values)
        return Trace(np.arange(3 * count) / 2.0, np.arange(count) * 3, self.values, self.read)


@pytest.fixture(params=range(8))
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """A curve that has grown in chunks, some of them replaced; small enough for brute force."""
    monkeypatch.setattr(module, "MAX_SEGMENTS", 12)
    random, store = np.random.default_rng(request.param), MemoryStore()
    for _ in range(40):
        count = len(store.values)
        at = count if random.random() < 0.8 else int(random.integers(max(0, count - 300), count + 1))
        store.put(at, random.normal(size=int(random.integers(1, 200))).round(1))
    return store


def test_segments_agree_with_their_points(store: MemoryStore) -> None:
    values = store.values
    assert list(module.sizes(len(values)))[-1] >= 256
    for size in module.sizes(len(values)):
        blocks = values[: len(values) // size * size].reshape(-1, size)
        segments = store.read(size)
        np.testing.assert_array_equal(values[segments["low"]], blocks.min(axis=1))
        np.testing.assert_array_equal(values[segments["high"]], blocks.max(axis=1))
        np.testing.assert_array_equal(segments["high"] // size, np.arange(len(blocks)))
        np.testing.assert_allclose(segments["mean"], blocks.mean(axis=1), atol=1e-12)


def test_the_outline_of_any_range_has_its_extremes_and_ends(store: MemoryStore) -> None:
    trace, random, count = store.trace(), np.random.default_rng(0), len(store.values)
    ranges = [(0, count), *(sorted(random.integers(0, count + 1, 2)) for _ in range(100))]
    for first, last in ranges:
        all_x, all_y = trace.points(first, last)
        xs, ys = trace.outline(first, last)
        if first == last:
            assert len(xs) == 0
            continue
        assert ys.min() == all_y.min() and ys.max() == all_y.max()
        assert xs[0] == all_x[0] and xs[-1] == all_x[-1] and (np.diff(xs) > 0).all()
        np.testing.assert_array_equal(ys, all_y[np.searchsorted(all_x, xs)])  # only points of the curve
        assert len(xs) <= 2 * module.MAX_SEGMENTS + 20 * 2 * module.FACTOR + 2 * module.SMALLEST_SEGMENT
    assert trace.bounds() == (store.values.min(), store.values.max())


def test_the_means_of_any_range_cover_all_its_points(store: MemoryStore) -> None:
    trace, random, count = store.trace(), np.random.default_rng(1), len(store.values)
    for first, last in (sorted(random.integers(0, count + 1, 2)) for _ in range(100)):
        xs, ys, sizes = trace.means(first, last)
        all_x, all_y = trace.points(first, last)
        assert sizes.sum() == last - first
        ends = np.cumsum(sizes)
        np.testing.assert_array_equal(xs, all_x[ends - 1])
        expected = [part.mean() for part in np.split(all_y, ends[:-1])] if last > first else []
        np.testing.assert_allclose(ys, expected, atol=1e-12)


def test_a_cover_has_every_point_once() -> None:
    random = np.random.default_rng(2)
    for first, last in (sorted(random.integers(0, 5000, 2)) for _ in range(200)):
        covered = [(low * size, high * size) for size, low, high in cover(first, last, 1024)]
        indices = [index for low, high in covered for index in range(low, high)]
        assert indices == list(range(first, last))


def test_smoothed_means_follow_the_smoothed_points() -> None:
    """With segments that are short compared with the window of the average, both curves agree."""
    values = np.sin(np.arange(20_000) / 900) + 3
    store = MemoryStore()
    store.put(0, values)
    exact = smooth(values, 0.99)
    _, means, sizes = store.trace().means(0, len(values))
    assert sizes.max() == 16 and len(means) < 2000
    np.testing.assert_allclose(smooth(means, 0.99, sizes), exact[np.cumsum(sizes) - 1], atol=0.002)
    flat = smooth(np.full(5, 7.0), 0.99, np.array([4096, 4096, 256, 16, 1]))
    np.testing.assert_allclose(flat, 7)
