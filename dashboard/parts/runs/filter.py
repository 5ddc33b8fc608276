"""Which runs the table shows, and which of their fields: a filter in SQL, tags, order, groups, columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.runs import run_table
from dashboard.parts.shared import run_list
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.glossary import WORDS
from dashboard.parts.shared.text import md, number
from workbench.runs import table, tags
from workbench.runs.filter import EXAMPLES, filter_rows
from workbench.runs.rows import column_names
from workbench.runs.run import Run

Rows = list[dict[str, Any]]
_NEWEST = "created"
MOST_GROUPED, MOST_COLUMNS = 4, 20
_NO_METRIC = ("step", "steps", "value", "low", "high")  # numbers of a row by which nobody judges a run


def controls(rows: Rows) -> None:
    """The filter, always seen, and the rest behind a button; what is chosen stands in the URL."""
    fields, tags = column_names(rows), sorted({tag for row in rows for tag in row["tags"]})
    metrics = _metrics(rows)
    _from_url(fields, tags, metrics)
    with st.container(horizontal=True, vertical_alignment="bottom", key="list_controls"):
        condition = st.text_input(
            "Filter", key=state.Runs.FILTER.key, placeholder=EXAMPLES[0], help=WORDS["filter"], max_chars=1000
        )
        with st.popover("View", icon=":material/tune:", key="list.view"):
            wanted = (
                st.multiselect("With all of these tags", tags, key=state.Runs.TAGS.key, format_func=md) if tags else []
            )
            order = st.selectbox("Sorted by", _orders(fields), key=state.Runs.SORT.key, format_func=_order_name)
            by = st.multiselect(
                "Grouped by", fields, key=state.Runs.GROUP.key, max_selections=MOST_GROUPED,
                help="One row for the runs that are alike in these fields.",
            )  # fmt: skip
            metric = st.selectbox(
                "Metric", [None, *metrics], key=state.Runs.METRIC.key,
                help="Metric shown in the table and averaged over groups.",
                format_func=lambda name: "that each run is judged by" if name is None else run_list.metric_name(name),
            )  # fmt: skip
            shown_columns = st.multiselect(
                "Columns", [*run_table.COLUMNS, *fields], key=state.Runs.COLUMNS.key, max_selections=MOST_COLUMNS,
                placeholder="the usual ones", format_func=run_table.column_label,
                help="Any field of the runs, settings too. Empty: the usual ones.",
            )  # fmt: skip
            archived = st.toggle("Show archived runs", key=state.Runs.ARCHIVED.key)
            st.caption("Fields that a filter can name: " + md(", ".join(fields), 3000))
            st.caption("Examples:")
            st.markdown("\n".join(f"- `{example}`" for example in EXAMPLES))
    state.to_url(state.Runs.FILTER, condition or "")
    state.to_url(state.Runs.SORT, "" if order == f"-{_NEWEST}" else order or "")
    state.to_url(state.Runs.GROUP, ",".join(by))
    state.to_url(state.Runs.TAGS, ",".join(wanted))
    state.to_url(state.Runs.METRIC, metric or "")
    state.to_url(state.Runs.COLUMNS, ",".join(shown_columns))
    state.to_url(state.Runs.ARCHIVED, "1" if archived else "")


def _from_url(fields: list[str], tags: list[str], metrics: list[str]) -> None:
    """Give every control what the link says, as far as there is such a thing."""

    def several(known: list[str]) -> Callable[[str], list[str]]:
        return lambda given: [name for name in dict.fromkeys(given.split(",")) if name in known]

    state.from_url(state.Runs.FILTER, lambda given: given[:1000])
    state.from_url(state.Runs.SORT, lambda given: given if given.lstrip("-") in fields else None)
    state.from_url(state.Runs.GROUP, lambda given: several(fields)(given)[:MOST_GROUPED])
    state.from_url(state.Runs.METRIC, lambda given: given if given in metrics else None)
    state.from_url(state.Runs.ARCHIVED, lambda given: given == "1")
    if tags:
        state.from_url(state.Runs.TAGS, several(tags))
    columns = [*run_table.COLUMNS, *fields]
    state.from_url(state.Runs.COLUMNS, lambda given: several(columns)(given)[:MOST_COLUMNS])


def _metrics(rows: Rows) -> list[str]:
    """The figures that a run can be judged by: its final metrics, and what it cost."""
    named = list(dict.fromkeys(name for row in rows for name, value in row.items() if _is_figure(name, value)))
    return [name for name in named if name not in _NO_METRIC]


def _is_figure(name: str, value: Any) -> bool:
    """Settings have dots in their names."""
    return "." not in name and isinstance(value, int | float) and not isinstance(value, bool)


def metric() -> str | None:
    """The metric that was chosen; None for that by which each run is judged."""
    found: str | None = st.session_state.get(state.Runs.METRIC.key)
    return found


def columns() -> list[str]:
    """The columns that were chosen; none for the usual ones."""
    return list(st.session_state.get(state.Runs.COLUMNS.key) or [])


def _orders(fields: list[str]) -> list[str]:
    return list(dict.fromkeys([f"-{_NEWEST}", *(sign + name for name in fields for sign in ("-", ""))]))


def _order_name(order: str) -> str:
    return f"{order.lstrip('-')}, {'most' if order.startswith('-') else 'least'} first".replace(
        "created, most", "newest"
    )


def chosen(rows: Rows) -> Rows:
    """The rows that the controls let through, in their order; all, and a word why, when the filter is wrong."""
    look = st.session_state
    condition = look.get(state.Runs.FILTER.key) or ""
    if not look.get(state.Runs.ARCHIVED.key) and "archived" not in condition:
        rows = [row for row in rows if not row["archived"]]
    rows = table.with_tags(rows, look.get(state.Runs.TAGS.key) or [])
    with show_errors("filter_error"):
        rows = filter_rows(rows, condition)
    order = look.get(state.Runs.SORT.key) or f"-{_NEWEST}"
    if order == f"-{_NEWEST}" or order.lstrip("-") not in column_names(rows):
        return rows
    return table.sort_rows(rows, order.lstrip("-"), descending=order.startswith("-"))


def show_groups(rows: Rows) -> None:
    """The groups, when some are asked for: how many runs, and the mean of the metric with its interval."""
    by = [name for name in st.session_state.get(state.Runs.GROUP.key) or [] if name in column_names(rows)]
    if not by:
        return
    judged = metric() if metric() in column_names(rows) else None
    groups = table.group_rows(rows, by, judged or "value")
    st.dataframe(
        {
            **{name: [number(group[name]) for group in groups] for name in by},
            "Runs": [group["runs"] for group in groups],
            "Mean": [group["mean"] for group in groups],
            "95% interval": [
                f"{number(group['low'])} to {number(group['high'])}" if group["low"] is not None else ""
                for group in groups
            ],
            "n": [group["n"] for group in groups],
        },
        column_config={
            "Mean": st.column_config.NumberColumn(
                format="%.4g",
                help=f"Of {md(run_list.metric_name(judged))}."
                if judged
                else "Of the metric that each run is judged by.",
            ),
            "95% interval": st.column_config.TextColumn(help=WORDS["band"], alignment="right"),
            "n": st.column_config.NumberColumn(help="Runs that have the metric."),
        },
        hide_index=True,
        key="list.groups",
    )


def notes(run: Run) -> None:
    """Tags, note and archive of one run."""
    noted = tags.read_tags(run)
    words = " · ".join([*noted.tags, *(["archived"] if noted.archived else []), noted.notes[:60]]).strip(" ·")
    label = f"Tags and notes{': ' + md(words, 120) if words else ''}"
    with st.expander(label, icon=":material/sell:", key="run.notes"), st.form("run.notes.form", border=False):
        words = st.text_input("Tags, with commas between", ", ".join(noted.tags), key=f"run.tags.{run.id}")
        text = st.text_area("Notes", noted.notes, key=f"run.note.{run.id}", max_chars=tags.MAX_NOTE_LENGTH)
        archived = st.checkbox("Archived: not in the list", noted.archived, key=f"run.archived.{run.id}")
        if st.form_submit_button("Save", icon=":material/save:", key="run.notes.save"):
            with show_errors("notes_error"):
                tags.update_tags(run, tags=words.split(","), notes=text, archived=archived)
                st.rerun()
