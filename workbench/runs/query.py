"""Queries over many runs: lists and curves. The run folders are the only store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from workbench.errors import MissingPackageError, UnknownNameError
from workbench.runs.documents import RunError, RunSummary
from workbench.runs.run import Run
from workbench.types import JsonObject
from workbench.workspace import Workspace

AXES = ("step", "epoch", "time", "tokens")
SUMMARY_FIELDS = ("title", "kind", "task", "model", "data", "tuning")  # of the spec, stored in the status

_LONGEST_LINE = 2**24  # bytes; DuckDB refuses longer ones by default as damaged, too


class Curve(TypedDict):
    """One metric of one run.

    Attributes:
        run: its id.
        name: name of the metric.
        x: values of the axis, ascending.
        y: values of the metric.
    """

    run: str
    name: str
    x: list[float]
    y: list[float]


def list_runs(workspace: Workspace) -> list[RunSummary]:
    """Return every run, newest first, without its spec: what ``workbench runs --json`` prints.

    A damaged folder is listed as ``failed``, with the reason; one that vanishes meanwhile is left out. No YAML is read,
    and no file that has not changed since the last call.

    Args:
        workspace: whose runs.
    """
    summaries = []
    for run in Run.all(workspace):
        try:
            status = run.status(cached=True)
            if not run.folder.is_dir():
                continue
            fields = {name: getattr(status, name) for name in ("error", "progress", "created", *SUMMARY_FIELDS)}
            if status.state == "running":
                fields |= {"moved": status.moved or status.heartbeat, "stop_requested_at": run.stop_requested_at()}
            summaries.append(RunSummary(id=run.id, state=status.state, report=run.report(cached=True), **fields))
        except Exception as error:  # whatever is in one folder, the others are listed
            summaries.append(_unreadable(run, error))
    # Sorted by time of creation, because names are not ordered within a second. A damaged folder has its name only.
    return sorted(summaries, key=lambda run: (run.id[:15], str(run.created or ""), run.id), reverse=True)


def _unreadable(run: Run, error: Exception) -> RunSummary:
    """Return the summary of a run whose folder cannot be read."""
    message = f"The folder {run.id} cannot be read: {type(error).__name__}: {str(error)[:200]}"
    hint = "Delete the run, or restore its files."
    return RunSummary(id=run.id, state="failed", error=RunError(kind="DamagedRun", message=message, hint=hint))


def metric_names(runs: Sequence[Run]) -> list[str]:
    """Return the names of all metrics that the runs have written, sorted, without step, epoch, time and tokens.

    Args:
        runs: which.

    Raises:
        MissingPackageError: duckdb is not installed.
    """
    files = _metric_files(runs)
    if not files:
        return []
    keys = _query_files(
        "SELECT DISTINCT unnest(json_keys(json)) FROM read_ndjson_objects($files, ignore_errors = true, "
        f"maximum_object_size = {_LONGEST_LINE}) WHERE json_type(json) = 'OBJECT'",
        {"files": files},
    )
    return sorted(name for (name,) in keys if name not in AXES)


def read_curves(runs: Sequence[Run], names: Sequence[str] | None = None, x: str = "step") -> list[Curve]:
    """Read the curves of some metrics of some runs.

    Args:
        runs: which runs; one whose folder or file is missing has no curves.
        names: which metrics; all by default.
        x: the axis: ``step``, ``epoch``, ``time`` (seconds of training) or ``tokens``.

    Returns:
        The curves in the order of ``runs`` and then of names, ``x`` ascending. An unfinished last line and rows that
        are not metrics are skipped. A step that was written twice (a resumed run repeats those after its checkpoint)
        has its last value only.

    Raises:
        UnknownNameError: there is no such axis.
        MissingPackageError: duckdb is not installed.
    """
    if x not in AXES:
        raise UnknownNameError("axis", x, AXES)
    files = _metric_files(runs)
    selected = sorted(metric_names(runs) if names is None else set(names) - set(AXES))
    if not files or not selected:
        return []
    # Names and files are passed as parameters, never as SQL.
    rows = _query_files(
        f"""
        WITH lines AS (
            SELECT filename, row_number() OVER () AS line, json_extract_string(json, $paths) AS found
            FROM read_ndjson_objects($files, ignore_errors = true, filename = true,
                                     maximum_object_size = {_LONGEST_LINE})
            WHERE json_type(json) = 'OBJECT'
        ), points AS (
            SELECT filename, line, try_cast(found[1] AS DOUBLE) AS step, try_cast(found[2] AS DOUBLE) AS x,
                   unnest(found[3:]) AS value, generate_subscripts(found[3:], 1) AS name
            FROM lines
        ), numbers AS (
            SELECT filename, line, name, coalesce(step, x) AS position, x, try_cast(value AS DOUBLE) AS y FROM points
        ), latest AS (
            SELECT filename, name, arg_max(x, line) AS x, arg_max(y, line) AS y FROM numbers
            WHERE x IS NOT NULL AND y IS NOT NULL AND isfinite(y) GROUP BY filename, name, position
        )
        SELECT filename, name, list(x ORDER BY x), list(y ORDER BY x) FROM latest GROUP BY filename, name
        """,
        {"files": files, "paths": [_pointer(name) for name in ("step", x, *selected)]},
    )
    order = {run.id: index for index, run in enumerate(runs)}
    curves = [Curve(run=Path(file).parent.name, name=selected[n - 1], x=xs, y=ys) for file, n, xs, ys in rows]
    return sorted(curves, key=lambda curve: (order[curve["run"]], curve["name"]))


def latest_metrics(run: Run, last_bytes: int = 65_536) -> JsonObject:
    """Return the last value of each metric among the last lines of a run; cheap, and without DuckDB.

    Args:
        run: which.
        last_bytes: how many bytes to read from the end of its metrics.
    """
    try:
        size = run.metrics_file.stat().st_size
    except OSError:
        return {}
    merged: JsonObject = {}
    for row in run.read_metrics(max(0, size - last_bytes))[0]:
        merged |= {name: value for name, value in row.items() if value is not None}
    return merged


def _metric_files(runs: Sequence[Run]) -> list[str]:
    """Return the metric files that are not empty."""
    files = []
    for run in runs:
        path = run.metrics_file
        try:
            if path.is_file() and path.stat().st_size:
                files.append(_without_glob(str(path)))
        except OSError:
            continue
    return files


def _pointer(name: str) -> str:
    """Return the JSON pointer (RFC 6901) to a key of an object; unlike a JSON path it can name any key."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _without_glob(path: str) -> str:
    """Escape a path so that DuckDB takes every character literally."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)


def _query_files(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run one query over ``files``; where one of them cannot be read (a line without end), over the others."""
    try:
        return _query(sql, values)
    except MissingPackageError:
        raise
    except Exception:  # DuckDB's own errors, whose classes are known only once it is imported
        files = [file for file in values["files"] if _is_readable(file)]
        if len(files) == len(values["files"]):
            raise
        return _query(sql, {**values, "files": files}) if files else []


def _is_readable(file: str) -> bool:
    sql = (
        f"SELECT count(*) FROM read_ndjson_objects($file, ignore_errors = true, maximum_object_size = {_LONGEST_LINE})"
    )
    try:
        _query(sql, {"file": file})
    except Exception:
        return False
    return True


def _query(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run one query in a database in memory."""
    try:
        import duckdb
    except ImportError as error:
        raise MissingPackageError("duckdb", "to read the curves of runs") from error
    with duckdb.connect(":memory:", config={"threads": 2, "autoinstall_known_extensions": False}) as connection:
        rows: list[tuple[Any, ...]] = connection.execute(sql, values).fetchall()
    return rows
