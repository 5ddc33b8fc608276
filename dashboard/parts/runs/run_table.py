"""The table of runs: a click shows a run, ticks take some for what is done with several."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.shared import progress, run_list, run_states
from dashboard.parts.shared.text import ago, cut, middle_cut, number
from workbench.metrics.measures import scale_note
from workbench.runs.documents import RunSummary

HEIGHT = 320
LONGEST_NAME = 38  # characters that the column of names shows
COLUMNS = ("State", "Progress", "Time left", "Result", "95% interval", "Tags", "Started")  # the usual ones
_CELL = "list.cell"  # the cell that was clicked last

Runs = list[RunSummary]


def draw(
    runs: Runs, rows: list[dict[str, Any]], chosen: str | None, columns: Sequence[str] = (), metric: str | None = None
) -> None:
    """Some runs; a click into a row chooses that run.

    Args:
        runs: summaries of all runs.
        rows: of the library's table: which of them are shown, in their order.
        chosen: the id of the run that is marked.
        columns: of ``COLUMNS`` and of the rows' fields; the usual ones when empty.
        metric: the figure in the column of results; None for that by which each run is judged.
    """
    by_id = {run.id: run for run in runs}
    rows = [row for row in rows if row["id"] in by_id]
    runs = [by_id[row["id"]] for row in rows]
    if not runs:
        st.info("No run fits the filter. Archived runs are hidden; see View.", icon=":material/filter_alt_off:")
        return
    ids, now_ticked = run_list.ids(runs), [row["id"] for row in ticked(rows)]
    # A new key whenever the rows move, so that ticks stay with the runs and not with the rows' numbers.
    key = f"runs.table.{hashlib.sha256(chr(10).join(ids).encode()).hexdigest()[:12]}"
    cells, looks = {}, {}
    for name, (values, look) in _columns(runs, rows, chosen, columns, metric).items():
        cells[name], looks[name] = values, look
    st.dataframe(
        cells,
        column_config=looks,
        height="auto" if len(runs) < 9 else HEIGHT,
        hide_index=True,
        on_select=lambda: _take(st.session_state[key]["selection"], ids, key),
        selection_mode=["multi-row", "single-cell"],
        selection_default={"selection": {"rows": [ids.index(run) for run in now_ticked]}} if now_ticked else None,
        placeholder="",
        key=key,
    )


def ticked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the rows that are ticked."""
    wanted = set(st.session_state.get(state.Runs.TICKED) or [])
    return [row for row in rows if row["id"] in wanted]


def _take(selection: Any, ids: list[str], key: str) -> None:
    """Take over what was ticked; and the run of the cell that was clicked, if it is another cell than before."""
    kept = [run for run in st.session_state.get(state.Runs.TICKED) or [] if run not in ids]  # hidden by the filter
    st.session_state[state.Runs.TICKED] = kept + [ids[row] for row in selection["rows"] if row < len(ids)]
    clicked = [key, *(list(cell) for cell in selection["cells"])]
    if clicked != st.session_state.get(_CELL) and len(clicked) > 1 and clicked[1][0] < len(ids):
        st.session_state[state.RUN.key] = ids[clicked[1][0]]
    st.session_state[_CELL] = clicked


# -- columns ---------------------------------------------------------------------------------------------------------

Column = tuple[list[Any], Any]


def column_label(name: str) -> str:
    """A column as the chooser names it."""
    return name if name in COLUMNS else f"{name} (field)"


def _columns(
    runs: Runs, rows: list[dict[str, Any]], chosen: str | None, wanted: Sequence[str], metric: str | None
) -> dict[str, Column]:
    """The cells and the look of each column, by its heading. The run's name is always there, the shown one marked."""
    usual: dict[str, Callable[[], dict[str, Column]]] = {
        "State": lambda: {"State": ([run_states.in_words(run.state) for run in runs], _text(105))},
        "Progress": lambda: {"Progress": ([_share(run) for run in runs], _bar(95))},
        "Time left": lambda: {"Time left": ([progress.time_left(run) for run in runs], _text(75))},
        "Result": lambda: _result(runs, metric),
        "95% interval": lambda: {"95% interval": ([_figure(run, metric)[2] for run in runs], _text(105))},
        "Tags": lambda: {"Tags": ([row["tags"] for row in rows], st.column_config.ListColumn(width=120))},
        "Started": lambda: {"Started": ([ago(run.created) for run in runs], _text(85))},
    }
    shown = list(wanted) or list(COLUMNS)
    found: dict[str, Column] = {" ": (["●" if run.id == chosen else "" for run in runs], _text(30))}
    name: dict[str, Column] = {"Run": ([middle_cut(run_list.title(run.id), LONGEST_NAME) for run in runs], _text(250))}
    found |= {} if "State" in shown else name
    for column in shown:
        made = usual[column]() if column in usual else {column: _field([row.get(column) for row in rows])}
        if column in usual and not wanted and column in ("Time left", "Tags"):
            made = {heading: each for heading, each in made.items() if any(each[0])}
        found |= made
        if column == "State":
            found |= name
    return found


def _text(width: int) -> Any:
    return st.column_config.TextColumn(width=width)


def _bar(width: int) -> Any:
    return st.column_config.ProgressColumn(width=width, min_value=0, max_value=100, format="%d%%")


def _field(values: list[Any]) -> Column:
    """Any field of the rows: numbers stay numbers where the whole column is, so that they sort and stand aligned."""
    there = [value for value in values if value is not None]
    if there and all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        return values, st.column_config.NumberColumn(format="%.4g" if not all(map(_is_whole, there)) else None)
    return [None if value is None else cut(number(value), 200) for value in values], None


def _is_whole(value: float) -> bool:
    return isinstance(value, int) or value.is_integer()


def _result(runs: Runs, metric: str | None) -> dict[str, Column]:
    """One figure of each run. Where it is the same metric everywhere, its name is the heading."""
    found = [_figure(run, metric) for run in runs]
    names = {name for name, _, _ in found if name}
    look = st.column_config.NumberColumn(format="%.4g", width=75)
    if len(names) == 1:
        return {names.pop().capitalize(): ([value for _, value, _ in found], look)}
    metrics = {"Metric": ([name for name, _, _ in found], _text(110))}
    return {**metrics, "Value": ([value for _, value, _ in found], look)}


def _share(run: RunSummary) -> float | None:
    if run.state == "succeeded":
        return 100.0
    done = run_list.share_done(run.progress)
    return None if done is None else 100 * done


def _figure(run: RunSummary, metric: str | None) -> tuple[str, float | None, str]:
    """A metric's name, its value, and its interval in words."""
    found = run_list.figure(run.report, metric)
    if found is None:
        return "", None, ""
    name, value = found
    known = value.low is not None and value.high is not None
    between = f"{number(value.low)} to {number(value.high)}" if known else ""
    return cut(name.replace("_", " "), 40) + scale_note(name), value.value, between
