"""Metrics of one run as columns on disk, so that a look costs what is new, and a zoom what is shown.

A small file is read whole, once for each time that it changes, and kept in memory: that costs milliseconds. Of a larger
one ``metrics.jsonl`` stays the truth; this is an index of it in the workspace's cache, which may be deleted::

    cache/curves/RUN/index.json       how far metrics.jsonl is read, and what the other files hold
                     step, epoch ...  the axes: a float64 for each line
                     0.rows, 0.values the first metric: which line, and its value
                     0.16, 0.64 ...   its finished segments of so many points, see :mod:`workbench.runs.pyramid`
                     usage/           the same of usage.jsonl

The files are only appended to. What stands behind the counts in ``index.json`` was left by a process that died, and is
written over. A step that comes again (a resumed run repeats those after its checkpoint) ends what stood from there on,
so every curve's axis rises.
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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import StorageError, UnknownNameError
from workbench.files import read_json, storage_errors, write_text
from workbench.locks import waiting_lock
from workbench.runs.pyramid import SEGMENT, Floats, Ints, Segments, Trace, extend
from workbench.runs.run import Run

METRICS, USAGE = "metrics.jsonl", "usage.jsonl"
AXES = ("step", "epoch", "time", "tokens")
CHUNK_BYTES = 2**24  # bytes of metrics.jsonl that are read at once
MAX_UNINDEXED_BYTES = 2**20  # bytes of metrics.jsonl up to which no index is made
_FAST_FROM = 2**15  # bytes from which Arrow's reader is worth its start
_HEAD = 256  # bytes by which a file is known again
_VERSION = 2


@dataclass(frozen=True)
class MetricStore:
    """The metrics of one run.

    Args:
        axes: for each of ``AXES`` one value a line, NaN where the line has none.
        metrics: by name the lines that have it, rising, and its values.
        gaps: the axes that some line lacks.
        broken: by name the number of lines whose value was not finite (NaN or infinite), and the step of the last.
        segments: by name what is stored of a long metric.
    """

    axes: dict[str, Floats]
    metrics: dict[str, tuple[Ints, Floats]]
    gaps: frozenset[str] = frozenset()
    broken: dict[str, tuple[int, float | None]] = field(default_factory=dict)
    segments: dict[str, Segments] = field(default_factory=dict)

    def names(self) -> list[str]:
        """The metrics that have a value, sorted."""
        return sorted(name for name, (rows, _) in self.metrics.items() if len(rows))

    def trace(self, name: str, x: str = "step") -> Trace:
        """One metric over ``x``; nothing is read yet, except where some lines have no ``x``: all are read then.

        Raises:
            UnknownNameError: there is no such axis. A metric that the run does not have is empty.
        """
        if x not in AXES:
            raise UnknownNameError("axis", x, AXES)
        if name not in self.metrics:
            return Trace(np.empty(0), np.empty(0, np.int64), np.empty(0))
        rows, values = self.metrics[name]
        if x not in self.gaps:
            return Trace(self.axes[x], rows, values, self.segments.get(name))
        xs = self.axes[x][rows]
        there = ~np.isnan(xs)
        return Trace(xs[there], np.arange(int(there.sum())), np.asarray(values)[there])

    def bounds(self, name: str) -> tuple[float, float]:
        """The lowest and the highest value of a metric that has one."""
        rows, values = self.metrics[name]
        return Trace(rows, rows, values, self.segments.get(name)).bounds()

    def curve(
        self, name: str, x: str = "step", low: float | None = None, high: float | None = None
    ) -> tuple[Floats, Floats]:
        """All points of one metric over ``x``, between ``low`` and ``high``, with one point more on each side.

        Raises:
            UnknownNameError: there is no such axis. A metric that the run does not have is empty.
        """
        trace = self.trace(name, x)
        return trace.points(*trace.between(low, high))


def open_metrics(run: Run, name: str = METRICS) -> MetricStore:
    """The run's metrics as they are now. Reads what was written since the last call by whatever process, no more.

    Where the cache cannot be written (a full disk), the whole file is read each time.

    Args:
        run: which.
        name: of its file of lines: ``METRICS``, or ``USAGE`` for what it used of the machine.
    """
    path = run.folder / name
    try:
        stat = path.stat()
    except OSError:
        return MetricStore({axis: np.empty(0) for axis in AXES}, {})
    if stat.st_size <= MAX_UNINDEXED_BYTES:
        return _cached_in_memory(str(path), stat.st_ino, stat.st_mtime_ns, stat.st_size)
    try:
        return _Index(run, name).catch_up()
    except StorageError:
        return _in_memory(path)


@functools.lru_cache(maxsize=128)
def _cached_in_memory(path: str, node: int, changed: int, size: int) -> MetricStore:
    return _in_memory(Path(path))


# -- reading lines ---------------------------------------------------------------------------------------------------


@dataclass
class _Batch:
    """Some lines as columns: of each axis and metric a float64 a line (NaN: not there), and what was null."""

    size: int
    columns: dict[str, Floats]
    nulls: dict[str, NDArray[np.bool_]]


def _parse(content: bytes) -> _Batch:
    """Whole lines of JSON as columns; damaged lines and those that hold no object are passed over."""
    if len(content) >= _FAST_FROM:
        with contextlib.suppress(ImportError, ValueError, TypeError):  # Arrow's errors are ValueErrors
            return _parse_fast(content)
    rows = []
    for line in content.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict):
                rows.append(row)
    found, nulls = {}, {}
    for name in dict.fromkeys(name for row in rows for name in row):
        found[name] = np.array([_number(row.get(name)) for row in rows], dtype=np.float64)
        nulls[name] = np.array([name in row and _is_broken(row[name]) for row in rows], dtype=bool)
    return _Batch(len(rows), found, nulls)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return float("nan")
    try:
        number = float(value)
    except OverflowError:
        return float("nan")
    return number if np.isfinite(number) else float("nan")


def _is_broken(value: Any) -> bool:
    """Whether a number that is not finite stood here; ``files.finite`` writes it as null."""
    return value is None or (isinstance(value, float) and not np.isfinite(value))


def _parse_fast(content: bytes) -> _Batch:
    """The same by Arrow, about ten times faster. Raises ValueError for lines that want the patient reader."""
    import pyarrow as pa
    import pyarrow.json as reader

    if b"null" in content or b"NaN" in content or b"Infinity" in content:
        raise ValueError("a null and a missing key are the same for Arrow")
    table = reader.read_json(io.BytesIO(content), reader.ReadOptions(use_threads=False, block_size=len(content) + 1))
    found = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise ValueError(f"{name} is not a number everywhere")
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        found[name] = np.where(np.isfinite(values), values, np.nan)
    nothing = np.zeros(table.num_rows, dtype=bool)
    return _Batch(table.num_rows, found, dict.fromkeys(found, nothing))


def _batches(path: Path, start: int) -> Iterator[tuple[_Batch, int]]:
    """The whole lines from byte ``start`` on, some at a time, each with the byte that follows."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below; a file that vanished has no lines
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


def _empty() -> dict[str, Any]:
    return {"version": _VERSION, "start": 0, "head": "", "node": 0, "lines": 0, "metrics": {}, "gaps": [], "broken": {}}


@dataclass
class _Index:
    """The files of one run's columns: those of ``name``, one of its files of lines."""

    run: Run
    name: str = METRICS

    @property
    def folder(self) -> Path:
        folder = self.run.workspace.root / "cache" / "curves" / self.run.id
        return folder if self.name == METRICS else folder / Path(self.name).stem

    @property
    def source(self) -> Path:
        return self.run.folder / self.name

    def catch_up(self) -> MetricStore:
        size = self._size()
        known = self._read()
        if known is None or known["start"] != size or not self._is_same(known):
            if not size:
                return MetricStore({axis: np.empty(0) for axis in AXES}, {})
            with storage_errors(self.folder):
                if not self.folder.is_dir():
                    remove_orphans(self.run)
                    self.folder.mkdir(parents=True, exist_ok=True)
                with waiting_lock(self.folder / "lock"):
                    known = self._extend(self._read())
        return self._map(known)

    def _size(self) -> int:
        try:
            return self.source.stat().st_size
        except OSError:
            return 0

    def _read(self) -> dict[str, Any] | None:
        found = read_json(self.folder / "index.json")
        return found if isinstance(found, dict) and found.get("version") == _VERSION else None

    def _is_same(self, known: dict[str, Any]) -> bool:
        """Whether the file is the one that was read: not replaced, not shorter, and with the same beginning."""
        length = min(_HEAD, known["start"])
        is_same = self._size() >= known["start"] and known["node"] == self._node()
        return bool(is_same and known["head"] == self._head(length))

    def _node(self) -> int:
        try:
            return self.source.stat().st_ino
        except OSError:
            return 0

    def _head(self, length: int) -> str:
        try:
            with open(self.source, "rb") as file:
                return hashlib.sha256(file.read(length)).hexdigest()
        except OSError:
            return ""

    def _extend(self, known: dict[str, Any] | None) -> dict[str, Any]:
        if known is None or not self._is_same(known):
            known = _empty() | {"node": self._node()}
        before = known["start"]
        for batch, end in _batches(self.source, before):
            self._append(known, batch)
            known["start"] = end
            known["head"] = self._head(min(_HEAD, end))
            write_text(self.folder / "index.json", json.dumps(known))
        return known

    def _append(self, known: dict[str, Any], batch: _Batch) -> None:
        nothing = np.full(batch.size, np.nan)
        for axis in AXES:
            values = batch.columns.get(axis, nothing)
            _write(self.folder / axis, known["lines"], values)
            if axis not in known["gaps"] and np.isnan(values).any():
                known["gaps"].append(axis)
        steps = batch.columns.get("step", nothing)
        for name in batch.columns:
            if name not in AXES:
                self._append_metric(known, batch, name, steps)
        known["lines"] += batch.size

    def _append_metric(self, known: dict[str, Any], batch: _Batch, name: str, steps: Floats) -> None:
        broken = batch.nulls[name]
        if broken.any():
            last = steps[broken][-1]
            count = known["broken"].get(name, [0])[0] + int(broken.sum())
            known["broken"][name] = [count, None if np.isnan(last) else float(last)]
        there = np.flatnonzero(~np.isnan(batch.columns[name]))
        if not len(there):
            return
        entry = known["metrics"].setdefault(name, {"file": len(known["metrics"]), "count": 0})
        there = there[_kept(steps[there])]
        first = steps[there][0] if len(there) else np.nan
        if entry["count"] and not np.isnan(first):
            entry["count"] = self._count_before(entry, float(first))
        before = entry["count"]
        _write(self.folder / f"{entry['file']}.rows", before, (known["lines"] + there).astype(np.int64))
        _write(self.folder / f"{entry['file']}.values", before, batch.columns[name][there])
        entry["count"] += len(there)
        values = _open(self.folder / f"{entry['file']}.values", np.float64, entry["count"])
        extend(
            values,
            before,
            entry["count"],
            self._segments(entry),
            lambda size, at, found: _write(self.folder / f"{entry['file']}.{size}", at, found),
        )

    def _segments(self, entry: dict[str, int]) -> Segments:
        return lambda size: _open(self.folder / f"{entry['file']}.{size}", SEGMENT, entry["count"] // size)

    def _count_before(self, entry: dict[str, int], step: float) -> int:
        """How many points of a metric stand before ``step``: those from there on are written anew."""
        rows = _open(self.folder / f"{entry['file']}.rows", np.int64, entry["count"])
        axis = self.folder / "step"
        whole = np.memmap(axis, np.float64, "r") if axis.exists() else np.empty(0)
        if float(whole[rows[-1]]) < step:  # what nearly always is
            return entry["count"]
        return bisect.bisect_left(rows, step, key=lambda row: float(whole[row]))

    def _map(self, known: dict[str, Any]) -> MetricStore:
        axes = {axis: _open(self.folder / axis, np.float64, known["lines"]) for axis in AXES}
        metrics = {
            name: (
                _open(self.folder / f"{entry['file']}.rows", np.int64, entry["count"]),
                _open(self.folder / f"{entry['file']}.values", np.float64, entry["count"]),
            )
            for name, entry in known["metrics"].items()
        }
        broken = {name: (count, step) for name, (count, step) in known["broken"].items()}
        segments = {name: self._segments(entry) for name, entry in known["metrics"].items()}
        return MetricStore(axes, metrics, frozenset(known["gaps"]), broken, segments)


def _kept(steps: Floats) -> NDArray[np.bool_]:
    """Which points of a batch are not taken back by a later one of the same or an earlier step."""
    later = np.where(np.isnan(steps), np.inf, steps)
    least_after = np.append(np.minimum.accumulate(later[::-1])[::-1][1:], np.inf)
    return np.asarray(np.isnan(steps) | (later < least_after))


def _write(path: Path, at: int, values: NDArray[Any]) -> None:
    """Put ``values`` at the ``at``-th place of a file of such values."""
    with storage_errors(path), open(path, "r+b" if path.exists() else "w+b") as file:
        file.seek(values.itemsize * at)
        file.write(np.ascontiguousarray(values).tobytes())


def _open(path: Path, kind: Any, count: int) -> Any:
    if not count:
        return np.empty(0, kind)
    return np.memmap(path, kind, "r", shape=(count,))


def _in_memory(path: Path) -> MetricStore:
    """The columns of a whole file, stored nowhere."""
    found = [batch for batch, _ in _batches(path, 0)]
    whole = {name: _joined(found, name) for name in dict.fromkeys(name for batch in found for name in batch.columns)}
    lines = sum(batch.size for batch in found)
    axes = {axis: whole.pop(axis, np.full(lines, np.nan)) for axis in AXES}
    metrics: dict[str, tuple[Ints, Floats]] = {}
    broken: dict[str, tuple[int, float | None]] = {}
    for name, values in whole.items():
        there = np.flatnonzero(~np.isnan(values))
        there = there[_kept(axes["step"][there])]
        metrics[name] = (there, values[there])
        null = np.concatenate([batch.nulls.get(name, np.zeros(batch.size, bool)) for batch in found])
        if null.any():
            last = float(axes["step"][null][-1])
            broken[name] = (int(null.sum()), None if np.isnan(last) else last)
    return MetricStore(axes, metrics, frozenset(axis for axis in AXES if np.isnan(axes[axis]).any()), broken)


def _joined(found: list[_Batch], name: str) -> Floats:
    return np.concatenate([batch.columns.get(name, np.full(batch.size, np.nan)) for batch in found])


def remove_orphans(run: Run) -> None:
    """Remove the columns of runs that were deleted."""
    folder = run.workspace.root / "cache" / "curves"
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if not (run.folder.parent / path.name).is_dir():
                shutil.rmtree(path, ignore_errors=True)
