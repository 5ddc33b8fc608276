"""The metrics of one run as columns on disk, so that reading costs what is new, and zooming costs what is shown.

A small file is read completely once for each time that it changes, and cached in memory: that takes milliseconds. Of a
larger one ``metrics.jsonl`` remains the source; this is an index of it in the workspace's cache, which may be deleted::

    cache/curves/RUN/index.json       how far metrics.jsonl was read, and what the other files contain
                     step, epoch ...  the axes: a float64 for each line
                     0.rows, 0.values the first metric: its lines, and its values
                     0.16, 0.64 ...   segments of that many points, see`workbench.runs.series.pyramid`
                     usage/           the same for usage.jsonl

The files are only appended to. Data beyond the counts in ``index.json`` was left by a process that died, and is
overwritten. A step that is written again (a resumed run repeats those after its checkpoint) replaces everything from
there on, so every curve's axis is ascending.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from workbench.errors import StorageError, UnknownNameError
from workbench.files import read_json, storage_errors, write_text
from workbench.locks import waiting_lock
from workbench.runs.run import Run
from workbench.runs.series.pyramid import SEGMENT, Segments, Trace, extend
from workbench.system.opening import open_regular
from workbench.types import Bools, Floats, Ints

METRICS, USAGE = "metrics.jsonl", "usage.jsonl"
AXES = ("step", "epoch", "time", "tokens")
CHUNK_BYTES = 2**24  # bytes of metrics.jsonl that are read at once
MAX_UNINDEXED_BYTES = 2**20  # bytes of metrics.jsonl up to which no index is made
_FAST_FROM = 2**15  # bytes from which Arrow's reader is worth its start
_HEAD = 256  # bytes by which a file is recognized
_VERSION = 2


@dataclass(frozen=True)
class MetricStore:
    """The metrics of one run.

    Attributes:
        axes: for each of ``AXES`` a value for each line, NaN where the line has none.
        metrics: by name, the lines that have the metric, ascending, and its values.
        gaps: the axes that some line lacks.
        broken: by name, the number of lines whose value was not finite (NaN or infinite), and the step of the last.
        segments: by name, the stored segments of a long metric.
    """

    axes: dict[str, Floats]
    metrics: dict[str, tuple[Ints, Floats]]
    gaps: frozenset[str] = frozenset()
    broken: dict[str, tuple[int, float | None]] = field(default_factory=dict)
    segments: dict[str, Segments] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Return the metrics that have a value, sorted."""
        return sorted(name for name, (rows, _) in self.metrics.items() if len(rows))

    def trace(self, name: str, x: str = "step") -> Trace:
        """Return one metric over an axis. Nothing is read yet, unless some lines have no such axis: then all are read.

        Args:
            name: name of the metric; a metric that the run lacks has no points.
            x: one of ``AXES``.

        Raises:
            UnknownNameError: there is no such axis.
        """
        if x not in AXES:
            raise UnknownNameError("axis", x, AXES)
        if name not in self.metrics:
            return Trace(np.empty(0), np.empty(0, np.int64), np.empty(0))
        rows, values = self.metrics[name]
        if x not in self.gaps:
            return Trace(self.axes[x], rows, values, self.segments.get(name))
        xs = self.axes[x][rows]
        present = ~np.isnan(xs)
        return Trace(xs[present], np.arange(int(present.sum())), np.asarray(values)[present])

    def bounds(self, name: str) -> tuple[float, float]:
        """Return the lowest and the highest value of a metric that has one."""
        rows, values = self.metrics[name]
        return Trace(np.empty(0), rows, values, self.segments.get(name)).bounds()

    def curve(
        self, name: str, x: str = "step", low: float | None = None, high: float | None = None
    ) -> tuple[Floats, Floats]:
        """Return all points of one metric in a range, with one more point on each side.

        Args:
            name: name of the metric; a metric that the run lacks has no points.
            x: one of ``AXES``.
            low: smallest x; None for no limit.
            high: largest x; None for no limit.

        Raises:
            UnknownNameError: there is no such axis.
        """
        trace = self.trace(name, x)
        return trace.points(*trace.between(low, high))


def open_metrics(run: Run, name: str = METRICS) -> MetricStore:
    """Return the run's metrics as they are now. Reads only what was written since the last call of any process.

    Where the cache cannot be written (a full disk), the complete file is read each time.

    Args:
        run: which.
        name: name of its file of lines: ``METRICS``, or ``USAGE`` for its use of the machine.
    """
    path = run.folder / name
    try:
        stat = path.stat()
    except OSError:
        return _nothing()
    if stat.st_size <= MAX_UNINDEXED_BYTES:
        return _cached_in_memory(str(path), stat.st_ino, stat.st_mtime_ns, stat.st_size)
    try:
        return _Index(run, name).update()
    except (StorageError, OSError):
        return _in_memory(path)


def _nothing() -> MetricStore:
    return MetricStore({axis: np.empty(0) for axis in AXES}, {})


@functools.lru_cache(maxsize=128)
def _cached_in_memory(path: str, node: int, changed: int, size: int) -> MetricStore:
    return _in_memory(Path(path))


# -- reading lines ---------------------------------------------------------------------------------------------------


@dataclass
class _Batch:
    """Some lines as columns: a float64 for each line of each axis and metric (NaN: missing), and what was null."""

    size: int
    columns: dict[str, Floats]
    nulls: dict[str, Bools]


def _parse(content: bytes) -> _Batch:
    """Parse complete lines of JSON into columns; damaged lines and lines without an object are skipped."""
    if len(content) >= _FAST_FROM:
        with contextlib.suppress(ImportError, ValueError, TypeError):  # Arrow's errors are ValueErrors
            return _parse_fast(content)
    rows = []
    for line in content.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict):
                rows.append(row)
    columns, nulls = {}, {}
    for name in dict.fromkeys(name for row in rows for name in row):
        columns[name] = np.array([_number(row.get(name)) for row in rows], dtype=np.float64)
        nulls[name] = np.array([name in row and _is_broken(row[name]) for row in rows], dtype=bool)
    return _Batch(len(rows), columns, nulls)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return float("nan")
    try:
        number = float(value)
    except OverflowError:
        return float("nan")
    return number if np.isfinite(number) else float("nan")


def _is_broken(value: object) -> bool:
    """Return whether this was a number that is not finite; ``files.finite`` writes it as null."""
    return value is None or (isinstance(value, float) and not np.isfinite(value))


def _parse_fast(content: bytes) -> _Batch:
    """Parse the same with Arrow, about ten times faster. Raises ValueError for lines that need the slow parser."""
    import pyarrow as pa
    import pyarrow.json as reader

    if b"null" in content or b"NaN" in content or b"Infinity" in content:
        raise ValueError("a null and a missing key are the same for Arrow")
    table = reader.read_json(io.BytesIO(content), reader.ReadOptions(use_threads=False, block_size=len(content) + 1))
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise ValueError(f"{name} is not a number everywhere")
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        columns[name] = np.where(np.isfinite(values), values, np.nan)
    nothing = np.zeros(table.num_rows, dtype=bool)
    return _Batch(table.num_rows, columns, dict.fromkeys(columns, nothing))


def _batches(path: Path, start: int) -> Iterator[tuple[_Batch, int]]:
    """Yield the complete lines from byte ``start`` on, some at a time, each with the position after them."""
    try:
        file = open_regular(path)  # closed below; a file that vanished, or is a pipe, has no lines
    except OSError:
        return
    with file:
        file.seek(start)
        rest = b""
        while content := file.read(CHUNK_BYTES):
            content = rest + content
            end = content.rfind(b"\n") + 1
            rest = content[end:]
            if end:
                start += end
                yield _parse(content[:end]), start


# -- the index -------------------------------------------------------------------------------------------------------


class _Entry(TypedDict):
    """One metric in the index: the number of its files, and of its points."""

    file: int
    count: int


class _State(TypedDict):
    """``index.json``.

    Attributes:
        version: version of this format.
        start: bytes of the source that were read.
        head: hash of its first bytes.
        node: its inode.
        lines: number of its lines.
        metrics: the metrics by name.
        gaps: the axes that some line lacks.
        broken: by metric, the number of values that are not finite, and the step of the last.
    """

    version: int
    start: int
    head: str
    node: int
    lines: int
    metrics: dict[str, _Entry]
    gaps: list[str]
    broken: dict[str, tuple[int, float | None]]


def _empty(node: int) -> _State:
    return {
        "version": _VERSION, "start": 0, "head": "", "node": node, "lines": 0, "metrics": {}, "gaps": [], "broken": {}
    }  # fmt: skip


@dataclass
class _Index:
    """The index of one file of lines of a run."""

    run: Run
    name: str = METRICS

    @property
    def folder(self) -> Path:
        folder = self.run.workspace.root / "cache" / "curves" / self.run.id
        return folder if self.name == METRICS else folder / Path(self.name).stem

    @property
    def source(self) -> Path:
        return self.run.folder / self.name

    def update(self) -> MetricStore:
        """Index what was written since the last update, and return everything."""
        size = self._size()
        state = self._read()
        if state is None or state["start"] != size or not self._is_same(state):
            if not size:
                return _nothing()
            with storage_errors(self.folder):
                if not self.folder.is_dir():
                    remove_orphans(self.run)
                    self.folder.mkdir(parents=True, exist_ok=True)
                with waiting_lock(self.folder / "lock"):
                    state = self._extend(self._read())
        return self._map(state)

    def _size(self) -> int:
        try:
            return self.source.stat().st_size
        except OSError:
            return 0

    def _read(self) -> _State | None:
        content = read_json(self.folder / "index.json")
        is_known = isinstance(content, dict) and content.get("version") == _VERSION
        return cast(_State, content) if is_known else None

    def _is_same(self, state: _State) -> bool:
        """Return whether the file is the one that was read: not replaced, not shorter, and with the same beginning."""
        length = min(_HEAD, state["start"])
        is_same = self._size() >= state["start"] and state["node"] == self._node()
        return is_same and state["head"] == self._head(length)

    def _node(self) -> int:
        try:
            return self.source.stat().st_ino
        except OSError:
            return 0

    def _head(self, length: int) -> str:
        try:
            with open_regular(self.source) as file:
                return hashlib.sha256(file.read(length)).hexdigest()
        except OSError:
            return ""

    def _extend(self, state: _State | None) -> _State:
        if state is None or not self._is_same(state):
            state = _empty(self._node())
        for batch, end in _batches(self.source, state["start"]):
            self._append(state, batch)
            state["start"] = end
            state["head"] = self._head(min(_HEAD, end))
            write_text(self.folder / "index.json", json.dumps(state))
        return state

    def _append(self, state: _State, batch: _Batch) -> None:
        nothing = np.full(batch.size, np.nan)
        for axis in AXES:
            values = batch.columns.get(axis, nothing)
            _write(self.folder / axis, state["lines"], values)
            if axis not in state["gaps"] and np.isnan(values).any():
                state["gaps"].append(axis)
        steps = batch.columns.get("step", nothing)
        for name in batch.columns:
            if name not in AXES:
                self._append_metric(state, batch, name, steps)
        state["lines"] += batch.size

    def _append_metric(self, state: _State, batch: _Batch, name: str, steps: Floats) -> None:
        broken = batch.nulls[name]
        if broken.any():
            last = steps[broken][-1]
            count = state["broken"].get(name, (0, None))[0] + int(broken.sum())
            state["broken"][name] = (count, None if np.isnan(last) else float(last))
        present = np.flatnonzero(~np.isnan(batch.columns[name]))
        if not len(present):
            return
        entry = state["metrics"].setdefault(name, {"file": len(state["metrics"]), "count": 0})
        present = present[_is_final(steps[present])]
        first = steps[present][0] if len(present) else np.nan
        if entry["count"] and not np.isnan(first):
            entry["count"] = self._count_before(entry, float(first))
        before = entry["count"]
        _write(self.folder / f"{entry['file']}.rows", before, (state["lines"] + present).astype(np.int64))
        _write(self.folder / f"{entry['file']}.values", before, batch.columns[name][present])
        entry["count"] += len(present)
        values = _open(self.folder / f"{entry['file']}.values", np.dtype(np.float64), entry["count"])
        extend(
            values,
            before,
            entry["count"],
            self._segments(entry),
            lambda size, at, segments: _write(self.folder / f"{entry['file']}.{size}", at, segments),
        )

    def _segments(self, entry: _Entry) -> Segments:
        return lambda size: _open(self.folder / f"{entry['file']}.{size}", SEGMENT, entry["count"] // size)

    def _count_before(self, entry: _Entry, step: float) -> int:
        """Return how many points of a metric are before a step; those from there on are written again."""
        rows = _open(self.folder / f"{entry['file']}.rows", np.dtype(np.int64), entry["count"])
        axis = self.folder / "step"
        steps = np.memmap(axis, np.float64, "r") if axis.exists() else np.empty(0)
        if float(steps[rows[-1]]) < step:  # nearly always
            return entry["count"]
        return bisect.bisect_left(rows, step, key=lambda row: float(steps[row]))

    def _map(self, state: _State) -> MetricStore:
        axes = {axis: _open(self.folder / axis, np.dtype(np.float64), state["lines"]) for axis in AXES}
        metrics = {
            name: (
                _open(self.folder / f"{entry['file']}.rows", np.dtype(np.int64), entry["count"]),
                _open(self.folder / f"{entry['file']}.values", np.dtype(np.float64), entry["count"]),
            )
            for name, entry in state["metrics"].items()
        }
        broken = {name: (count, step) for name, (count, step) in state["broken"].items()}
        segments = {name: self._segments(entry) for name, entry in state["metrics"].items()}
        return MetricStore(axes, metrics, frozenset(state["gaps"]), broken, segments)


def _is_final(steps: Floats) -> Bools:
    """Return which points of a batch are not replaced by a later one of the same or an earlier step."""
    later = np.where(np.isnan(steps), np.inf, steps)
    least_after = np.append(np.minimum.accumulate(later[::-1])[::-1][1:], np.inf)
    return np.asarray(np.isnan(steps) | (later < least_after))


def _write(path: Path, at: int, values: NDArray[Any]) -> None:
    """Write values at an index of a file of such values."""
    with storage_errors(path), open(path, "r+b" if path.exists() else "w+b") as file:
        file.seek(values.itemsize * at)
        file.write(np.ascontiguousarray(values).tobytes())


def _open(path: Path, kind: np.dtype[Any], count: int) -> NDArray[Any]:
    if not count:
        return np.empty(0, kind)
    return np.memmap(path, kind, "r", shape=(count,))


def _in_memory(path: Path) -> MetricStore:
    """Return the metrics of a complete file, without an index."""
    batches = [batch for batch, _ in _batches(path, 0)]
    names = dict.fromkeys(name for batch in batches for name in batch.columns)
    columns = {name: _joined(batches, name) for name in names}
    lines = sum(batch.size for batch in batches)
    axes = {axis: columns.pop(axis, np.full(lines, np.nan)) for axis in AXES}
    metrics: dict[str, tuple[Ints, Floats]] = {}
    broken: dict[str, tuple[int, float | None]] = {}
    for name, values in columns.items():
        present = np.flatnonzero(~np.isnan(values))
        present = present[_is_final(axes["step"][present])]
        metrics[name] = (present, values[present])
        null = np.concatenate([batch.nulls.get(name, np.zeros(batch.size, bool)) for batch in batches])
        if null.any():
            last = float(axes["step"][null][-1])
            broken[name] = (int(null.sum()), None if np.isnan(last) else last)
    return MetricStore(axes, metrics, frozenset(axis for axis in AXES if np.isnan(axes[axis]).any()), broken)


def _joined(batches: list[_Batch], name: str) -> Floats:
    return np.concatenate([batch.columns.get(name, np.full(batch.size, np.nan)) for batch in batches])


def remove_orphans(run: Run) -> None:
    """Remove the indexes of deleted runs from a workspace.

    Args:
        run: any run of the workspace.
    """
    folder = run.workspace.root / "cache" / "curves"
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if not (run.folder.parent / path.name).is_dir():
                shutil.rmtree(path, ignore_errors=True)
