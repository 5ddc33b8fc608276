"""The table of runs: a click opens a run, ticks select runs for bulk actions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard import state
from dashboard.parts.shared import progress, run_list, run_states
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import ago, between, cut, middle_cut, number
from workbench.i18n import N_, _
from workbench.metrics.measures import scale_note
from workbench.runs.documents import RunSummary
from workbench.runs.stalled import seconds_without_progress

HEIGHT = 320
MAX_NAME = 38  # characters of a name
# The default columns; their names are translated where they are shown.
COLUMNS = (
    N_("State"),
    N_("Progress"),
    N_("Time left"),
    N_("Result"),
    N_("95% interval"),
    N_("Tags"),
    N_("Started"),
)
_CELL = "list.cell"  # session key: the cell that was clicked last

Runs = list[RunSummary]
Rows = list[dict[str, Any]]


class Column(NamedTuple):
    """The cells of a column and how they are shown."""

    cells: Sequence[object]
    config: ColumnConfig | None


def draw(runs: Runs, rows: Rows, columns: Sequence[str] = (), metric: str | None = None) -> None:
    """Draw some runs; a click into a row opens that run.

    Args:
        runs: summaries of all runs.
        rows: rows of the library's table: the runs to draw, in their order.
        columns: names from ``COLUMNS`` and from the fields of the rows; empty for the default columns.
        metric: shown in the column of results; None for the primary metric of each run.
    """
    by_id = {run.id: run for run in runs}
    rows = [row for row in rows if row["id"] in by_id]
    runs = [by_id[row["id"]] for row in rows]
    if not runs:
        st.info(_("No run matches the filter. Archived runs are hidden; see View."), icon=":material/filter_alt_off:")
        return
    ids, ticked_ids = run_list.ids(runs), [row["id"] for row in ticked(rows)]
    # A new key whenever the rows change, so that ticks stay with the runs and not with the rows' numbers.
    key = f"runs.table.{hashlib.sha256(chr(10).join(ids).encode()).hexdigest()[:12]}"
    table = _columns(runs, rows, columns, metric)
    draw_table(
        {name: column.cells for name, column in table.items()},
        column_config={name: column.config for name, column in table.items()},
        height="auto" if len(runs) < 9 else HEIGHT,
        hide_index=True,
        on_select=lambda: _select(st.session_state[key]["selection"], ids, key),
        selection_mode=["multi-row", "single-cell"],
        selection_default={"selection": {"rows": [ids.index(run) for run in ticked_ids]}} if ticked_ids else None,
        placeholder="",
        csv=False,
        key=key,
    )


def ticked(rows: Rows) -> Rows:
    """Return the rows that are ticked.

    Args:
        rows: rows of the runs that are shown.
    """
    ids = set(st.session_state.get(state.Runs.TICKED) or [])
    return [row for row in rows if row["id"] in ids]


def _select(selection: Mapping[str, Any], ids: Sequence[str], key: str) -> None:
    """Store the ticks; and open the run of the clicked cell, if it is another cell than before."""
    hidden = [run for run in st.session_state.get(state.Runs.TICKED) or [] if run not in ids]  # by the filter
    st.session_state[state.Runs.TICKED] = hidden + [ids[row] for row in selection["rows"] if row < len(ids)]
    clicked = [key, *(list(cell) for cell in selection["cells"])]
    if clicked != st.session_state.get(_CELL) and len(clicked) > 1 and int(clicked[1][0]) < len(ids):
        st.session_state[state.Runs.OPENED] = ids[int(clicked[1][0])]
    st.session_state[_CELL] = clicked


# -- columns ---------------------------------------------------------------------------------------------------------


def column_label(name: str) -> str:
    """Return the name of a column for its chooser.

    Args:
        name: a name from ``COLUMNS``, or a field.
    """
    return _(name) if name in COLUMNS else _("{name} (field)").format(name=name)


def _columns(runs: Runs, rows: Rows, wanted: Sequence[str], metric: str | None) -> dict[str, Column]:
    """Return the columns by name. The run's name is always among them."""
    defaults: dict[str, Callable[[], dict[str, Column]]] = {
        "State": lambda: {"State": Column([_state(run) for run in runs], _text(_("State"), 105))},
        "Progress": lambda: {"Progress": Column([_share(run) for run in runs], _bar(_("Progress"), 95))},
        "Time left": lambda: {
            "Time left": Column([progress.time_left(run) for run in runs], _text(_("Time left"), 75))
        },
        "Result": lambda: _result(runs, metric),
        "95% interval": lambda: {
            "95% interval": Column([_metric(run, metric)[2] for run in runs], _text(_("95% interval"), 105))
        },
        "Tags": lambda: {
            "Tags": Column([row["tags"] for row in rows], st.column_config.ListColumn(_("Tags"), width=120))
        },
        "Started": lambda: {"Started": Column([ago(run.created) for run in runs], _text(_("Started"), 85))},
    }
    names = list(wanted) or list(COLUMNS)
    table: dict[str, Column] = {}
    titles = {"Run": Column([middle_cut(run_list.title(run.id), MAX_NAME) for run in runs], _text(_("Run"), 250))}
    table |= {} if "State" in names else titles
    for name in names:
        columns = defaults[name]() if name in defaults else {name: _field([row.get(name) for row in rows])}
        if name in ("Time left", "Tags") and not wanted and not any(columns[name].cells):
            columns = {}
        table |= columns
        if name == "State":
            table |= titles
    return table


def _text(label: str | None, width: int) -> ColumnConfig:
    return st.column_config.TextColumn(label, width=width)


def _bar(label: str, width: int) -> ColumnConfig:
    return st.column_config.ProgressColumn(label, width=width, min_value=0, max_value=100, format="%d%%")


def _field(values: Sequence[object]) -> Column:
    """Any field of the rows. A column of numbers stays numeric, so that it sorts and aligns."""
    present = [value for value in values if value is not None]
    numbers = [value for value in present if isinstance(value, int | float) and not isinstance(value, bool)]
    if present and len(numbers) == len(present):
        whole = all(isinstance(value, int) or value.is_integer() for value in numbers)
        return Column(values, st.column_config.NumberColumn(format=None if whole else "%.4g"))
    return Column([None if value is None else cut(number(value), 200) for value in values], None)


def _result(runs: Runs, metric: str | None) -> dict[str, Column]:
    """One metric of each run. If it is the same metric everywhere, its name is the heading."""
    metrics = [_metric(run, metric) for run in runs]
    names = {name for name, value, interval in metrics if name}
    values = [value for name, value, interval in metrics]
    if len(names) == 1:
        name = names.pop()
        heading = name[:1].upper() + name[1:]
        return {heading: Column(values, st.column_config.NumberColumn(heading, format="%.4g", width=75))}
    return {
        "Metric": Column([name for name, value, interval in metrics], _text(_("Metric"), 110)),
        "Value": Column(values, st.column_config.NumberColumn(_("Value"), format="%.4g", width=75)),
    }


def _state(run: RunSummary) -> str:
    """Return the state of a run in words; of a run that makes no progress, that."""
    if run.state == "running" and seconds_without_progress(run) is not None:
        return f"{run_states.look(run.state).symbol} {_('no progress')}"
    return run_states.in_words(run.state)


def _share(run: RunSummary) -> float | None:
    if run.state == "succeeded":
        return 100.0
    done = run_list.share_done(run.progress)
    return None if done is None else 100 * done


def _metric(run: RunSummary, metric: str | None) -> tuple[str, float | None, str]:
    """Return a metric's name, its value, and its interval in words."""
    result = run_list.metric_value(run.report, metric)
    if result is None:
        return "", None, ""
    name, value = result
    interval = between(value.low, value.high) if value.low is not None and value.high is not None else ""
    return cut(_(name.replace("_", " ")), 40) + scale_note(name), value.value, interval
