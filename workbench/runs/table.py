"""All runs as one table: a row for each run, sorted and grouped. Filters: :mod:`workbench.runs.filters.filter`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from workbench.errors import UnknownNameError
from workbench.metrics.statistics import t_quantile
from workbench.runs.documents import Report, RunProgress, RunSummary
from workbench.runs.query import list_runs
from workbench.runs.rows import Row, as_text, column_names
from workbench.runs.run import Run
from workbench.runs.settings import STATUS_FIELDS, read_all_settings
from workbench.runs.tags import Tags, read_tags
from workbench.workspace import Workspace

_COSTS = ("seconds", "tokens_per_second", "peak_memory_bytes", "trained_parameters", "total_parameters")


def run_table(workspace: Workspace, summaries: Sequence[RunSummary] | None = None, settings: bool = True) -> list[Row]:
    """Return every run as one flat row, newest first.

    Args:
        workspace: whose runs.
        summaries: the result of :func:`workbench.runs.query.list_runs`, where they were read already.
        settings: also the fields of the specs.

    Returns:
        Rows with the columns of ``STATUS_FIELDS``; ``step`` and ``steps``; ``metric``, ``value``, ``low``, ``high`` of
        the metric that the run is judged by; each final metric by its name; what it cost; and, with ``settings``, each
        field of its spec by its dotted name (``training.learning_rate``). The row of a run that has not changed is the
        same object again: do not change it.
    """
    fields = read_all_settings(workspace) if settings else {}
    runs = list_runs(workspace) if summaries is None else summaries
    return [_cached_row(workspace, summary, fields.get(summary.id, {})) for summary in runs]


_MAX_ROWS = 30_000
_rows: dict[str, tuple[tuple[RunSummary, Tags, Row], Row]] = {}


def _cached_row(workspace: Workspace, summary: RunSummary, fields: Row) -> Row:
    """Return the row that was built from the same documents before, or a new one."""
    run = Run(workspace.runs / summary.id)
    sources = (summary, read_tags(run, cached=True), fields)
    name = f"{run.folder}\n{bool(fields)}"
    cached = _rows.get(name)
    if cached is not None and cached[0] == sources:
        return cached[1]
    if len(_rows) >= _MAX_ROWS:
        _rows.clear()
    row = _row(summary, sources[1]) | fields
    _rows[name] = (sources, row)
    return row


def _row(summary: RunSummary, tags: Tags) -> Row:
    row = {name: getattr(summary, name, None) for name in STATUS_FIELDS}
    row |= {"tags": list(tags.tags), "notes": tags.notes, "archived": tags.archived}
    progress, report = summary.progress or RunProgress(), summary.report or Report()
    row |= {"step": progress.step, "steps": progress.steps}
    primary = report.primary
    row["metric"] = report.primary_metric if primary else None
    row |= {name: getattr(primary, name, None) for name in ("value", "low", "high")}
    row |= {name: getattr(report.cost, name) for name in _COSTS}
    row |= {name: metric.value for name, metric in report.metrics.items() if name not in row}
    return row


def with_tags(rows: Sequence[Row], tags: Sequence[str]) -> list[Row]:
    """Return the rows that have all of these tags."""
    return [row for row in rows if set(tags) <= set(row.get("tags") or ())]


def sort_rows(rows: Sequence[Row], by: str, descending: bool = False) -> list[Row]:
    """Return the rows sorted by one field; rows without it come last.

    Args:
        rows: the result of :func:`run_table`.
        by: name of the field.
        descending: largest first.

    Raises:
        UnknownNameError: no row has such a field.
    """
    if rows and by not in column_names(rows):
        raise UnknownNameError("field", by, column_names(rows))
    present = [row for row in rows if row.get(by) is not None]
    numeric = all(isinstance(row[by], int | float) for row in present)
    present.sort(key=lambda row: row[by] if numeric else as_text(row[by]), reverse=descending)
    return present + [row for row in rows if row.get(by) is None]


def group_rows(rows: Sequence[Row], by: Sequence[str], metric: str = "value") -> list[Row]:
    """Group rows that have the same values in some fields, with the metric's mean and its 95% interval.

    Args:
        rows: the result of :func:`run_table`.
        by: names of the fields.
        metric: the field that is averaged.

    Returns:
        ``[{*by, "runs", "n", "mean", "low", "high", "ids"}]``, in the order of their first rows. ``n`` counts the rows
        that have the metric; with fewer than two there is no interval (Student's t over runs).

    Raises:
        UnknownNameError: no row has such a field.
    """
    names = column_names(rows)
    for name in [*by, metric]:
        if rows and name not in names:
            raise UnknownNameError("field", name, names)
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(as_text(row.get(name)) for name in by), []).append(row)
    return [
        {name: group[0].get(name) for name in by} | _mean(group, metric) | {"ids": [row["id"] for row in group]}
        for group in groups.values()
    ]


def _mean(group: Sequence[Row], metric: str) -> Row:
    values = [float(row[metric]) for row in group if isinstance(row.get(metric), int | float)]
    summary: Row = {"runs": len(group), "n": len(values), "mean": None, "low": None, "high": None}
    if values:
        summary["mean"] = statistics.fmean(values)
    if len(values) > 1:
        half = t_quantile(len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
        summary |= {"low": summary["mean"] - half, "high": summary["mean"] + half}
    return summary
