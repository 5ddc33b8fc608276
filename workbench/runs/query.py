"""Questions over many runs at once: what there is, and their curves. The folders are the only store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.errors import MissingPackageError, UnknownNameError
from workbench.files import read_json
from workbench.runs.documents import Environment, RunSummary
from workbench.runs.run import Run
from workbench.workspace import Workspace

AXES = ("step", "epoch", "time", "tokens")
SUMMARY_FIELDS = ("title", "kind", "task", "model", "data", "tuning")  # words about the spec that a status holds

_LONGEST_LINE = 2**24  # bytes; DuckDB refuses longer ones by default as damaged, too


def list_runs(workspace: Workspace) -> list[RunSummary]:
    """Return every run, newest first, without its spec: what ``workbench runs --json`` prints.

    A damaged folder is listed as ``failed``, with the reason; one that vanishes meanwhile is left out. No YAML is read,
    and no file that has not changed since the last call.
    """
    summaries = []
    for run in Run.all(workspace):
        status = run.status(cached=True)
        if not run.folder.is_dir():
            continue
        fields = {name: getattr(status, name) for name in ("error", "progress", "created", *SUMMARY_FIELDS)}
        summaries.append(
            RunSummary.model_construct(id=run.id, state=status.state, report=run.report(cached=True), **fields)
        )
    # Sorted by time of creation, because names are not ordered within a second. A damaged folder has its name only.
    return sorted(summaries, key=lambda run: (run.id[:15], str(run.created or ""), run.id), reverse=True)


def metric_names(runs: Sequence[Run]) -> list[str]:
    """Every name of a metric that one of the runs has written, sorted, without step, epoch, time and tokens."""
    files = _metric_files(runs)
    if not files:
        return []
    keys = _query(
        "SELECT DISTINCT unnest(json_keys(json)) FROM read_ndjson_objects($files, ignore_errors = true, "
        f"maximum_object_size = {_LONGEST_LINE}) WHERE json_type(json) = 'OBJECT'",
        {"files": files},
    )
    return sorted(name for (name,) in keys if name not in AXES)


def read_curves(runs: Sequence[Run], names: Sequence[str] | None = None, x: str = "step") -> list[dict[str, Any]]:
    """The curves of some metrics of some runs.

    Args:
        runs: which runs; one whose folder or file is missing has no curves.
        names: which metrics; all of them if left out.
        x: what they are drawn over: ``step``, ``epoch``, ``time`` (seconds of training) or ``tokens``.

    Returns:
        ``[{"run", "name", "x": [...], "y": [...]}]`` in the order of ``runs`` and then of names, ``x`` ascending. A
        half last line and rows that are not metrics are passed over. A step that was written twice (a resumed run
        repeats those after its checkpoint) has its last value only.

    Raises:
        UnknownNameError: there is no such axis.
        MissingPackageError: duckdb is not installed.
    """
    if x not in AXES:
        raise UnknownNameError("axis", x, AXES)
    files = _metric_files(runs)
    wanted = sorted(metric_names(runs) if names is None else set(names) - set(AXES))
    if not files or not wanted:
        return []
    # Names and files travel as values, never as SQL.
    rows = _query(
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
            SELECT filename, line, name, coalesce(step, x) AS place, x, try_cast(value AS DOUBLE) AS y FROM points
        ), latest AS (
            SELECT filename, name, arg_max(x, line) AS x, arg_max(y, line) AS y FROM numbers
            WHERE x IS NOT NULL AND y IS NOT NULL AND isfinite(y) GROUP BY filename, name, place
        )
        SELECT filename, name, list(x ORDER BY x), list(y ORDER BY x) FROM latest GROUP BY filename, name
        """,
        {"files": files, "paths": [_pointer(name) for name in ("step", x, *wanted)]},
    )
    place = {run.id: number for number, run in enumerate(runs)}
    found = [{"run": Path(file).parent.name, "name": wanted[n - 1], "x": xs, "y": ys} for file, n, xs, ys in rows]
    return sorted(found, key=lambda curve: (place[curve["run"]], curve["name"]))


def latest_metrics(run: Run, last_bytes: int = 65_536) -> dict[str, Any]:
    """The last value of each metric among the last lines of a run; cheap, and without DuckDB."""
    try:
        size = run.metrics_file.stat().st_size
    except OSError:
        return {}
    merged: dict[str, Any] = {}
    for row in run.read_metrics(max(0, size - last_bytes))[0]:
        merged |= {name: value for name, value in row.items() if value is not None}
    return merged


def environment(run: Run) -> Environment:
    """Return ``environment.json``; empty before the run has begun."""
    content = read_json(run.environment_file)
    return Environment.load(content) if isinstance(content, dict) else Environment()


def _metric_files(runs: Sequence[Run]) -> list[str]:
    """The metric files that exist and hold something. The names are folders that this code has listed itself."""
    found = []
    for run in runs:
        path = run.metrics_file
        try:
            if path.stat().st_size:
                found.append(_without_glob(str(path)))
        except OSError:
            continue
    return found


def _pointer(name: str) -> str:
    """The JSON pointer (RFC 6901) to a key of an object; unlike a JSON path it can name any key."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _without_glob(path: str) -> str:
    """``path`` such that DuckDB takes every character of it as itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)


def _query(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run one query in a database in memory that can read local files and do nothing else."""
    try:
        import duckdb
    except ImportError as error:
        raise MissingPackageError("duckdb", "to read the curves of runs") from error
    with duckdb.connect(":memory:", config={"threads": 2, "autoinstall_known_extensions": False}) as connection:
        found: list[tuple[Any, ...]] = connection.execute(sql, values).fetchall()
    return found
