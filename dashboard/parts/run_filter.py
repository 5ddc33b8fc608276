"""Which runs the table shows: a filter in SQL, tags, order, groups; and what is done with all that it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.errors import shown
from dashboard.parts.glossary import WORDS
from dashboard.parts.text import md, number
from workbench.errors import WorkbenchError
from workbench.runs import labels, table
from workbench.runs.run import Run
from workbench.workspace import Workspace

Rows = list[dict[str, Any]]
TAGS, ARCHIVED = "list.tags", "list.archived"
_NEWEST = "created"


def controls(rows: Rows) -> None:
    """The filter, always seen, and the rest behind a button; what is chosen stands in the URL."""
    fields = table.column_names(rows)
    state.from_url(state.WHERE, state.LIST_WHERE, lambda given: given[:1000])
    state.from_url(state.SORT, state.LIST_SORT, lambda given: given if given.lstrip("-") in fields else None)
    state.from_url(state.GROUP, state.LIST_GROUP, lambda given: [name for name in given.split(",") if name in fields])
    with st.container(horizontal=True, vertical_alignment="bottom", key="list_controls"):
        condition = st.text_input(
            "Filter", key=state.LIST_WHERE, placeholder=table.EXAMPLES[0], help=WORDS["filter"], max_chars=1000
        )
        with st.popover("View", icon=":material/tune:", key="list.view"):
            tags = sorted({tag for row in rows for tag in row["tags"]})
            if tags:
                st.multiselect("With all of these tags", tags, key=TAGS, format_func=md)
            order = st.selectbox("Sorted by", _orders(fields), key=state.LIST_SORT, format_func=_order_name)
            by = st.multiselect(
                "Grouped by", fields, key=state.LIST_GROUP, max_selections=4,
                help="One row for the runs that are alike in these fields.",
            )  # fmt: skip
            st.toggle("Show archived runs", key=ARCHIVED)
            st.caption("Fields that a filter can name: " + md(", ".join(fields), 3000))
            st.caption("Examples:")
            st.code("\n".join(table.EXAMPLES), language="sql")
    state.to_url(state.WHERE, condition or "")
    state.to_url(state.SORT, "" if order == f"-{_NEWEST}" else order or "")
    state.to_url(state.GROUP, ",".join(by))


def _orders(fields: list[str]) -> list[str]:
    return list(dict.fromkeys([f"-{_NEWEST}", *(sign + name for name in fields for sign in ("-", ""))]))


def _order_name(order: str) -> str:
    return f"{order.lstrip('-')}, {'most' if order.startswith('-') else 'least'} first".replace(
        "created, most", "newest"
    )


def chosen(rows: Rows) -> Rows:
    """The rows that the controls let through, in their order; all, and a word why, when the filter is wrong."""
    look = st.session_state
    condition = look.get(state.LIST_WHERE) or ""
    if not look.get(ARCHIVED) and "archived" not in condition:
        rows = [row for row in rows if not row["archived"]]
    rows = table.tagged(rows, look.get(TAGS) or [])
    with shown("filter_error"):
        rows = table.where(rows, condition)
    order = look.get(state.LIST_SORT) or f"-{_NEWEST}"
    if order == f"-{_NEWEST}" or order.lstrip("-") not in table.column_names(rows):
        return rows
    return table.ordered(rows, order.lstrip("-"), descending=order.startswith("-"))


def show_groups(rows: Rows) -> None:
    """The groups, when some are asked for: how many runs, and the mean of the metric with its interval."""
    by = [name for name in st.session_state.get(state.LIST_GROUP) or [] if name in table.column_names(rows)]
    if not by:
        return
    groups = table.grouped(rows, by)
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
            "Mean": st.column_config.NumberColumn(format="%.4g", help="Of the metric that a run is judged by."),
            "95% interval": st.column_config.TextColumn(help=WORDS["band"], alignment="right"),
            "n": st.column_config.NumberColumn(help="Runs that have the metric."),
        },
        hide_index=True,
        key="list.groups",
    )


def actions(rows: Rows) -> None:
    """Export of what is shown, and one change to all of it."""
    with st.container(horizontal=True, vertical_alignment="center", key="list_actions"):
        st.caption(f"{len(rows):,} {'run' if len(rows) == 1 else 'runs'}")
        st.download_button(
            "CSV", lambda: table.as_csv(rows).encode("utf-8", errors="replace"), "runs.csv", "text/csv",
            key="list.csv", icon=":material/download:", on_click="ignore", help="These runs, with all their fields.",
        )  # fmt: skip
        st.download_button(
            "Parquet", lambda: table.as_parquet(rows), "runs.parquet", "application/vnd.apache.parquet",
            key="list.parquet", icon=":material/download:", on_click="ignore", help="The same, with types.",
        )  # fmt: skip
        if rows:
            with st.popover(f"Change these {len(rows):,}", icon=":material/edit_note:", key="list.change"):
                _changes(rows)


def _changes(rows: Rows) -> None:
    tag = st.text_input("Tag", key="list.tag", max_chars=labels.LONGEST_TAG)
    with st.container(horizontal=True):
        if st.button("Add to all", key="list.tag.add", disabled=not tag):
            _to_each(rows, lambda run: labels.tag(run, [tag]))
        if st.button("Take from all", key="list.tag.remove", disabled=not tag):
            _to_each(rows, lambda run: labels.tag(run, remove=[tag]))
    with st.container(horizontal=True):
        if st.button("Archive all", key="list.archive", help="They stay on disk, and leave the list."):
            _to_each(rows, lambda run: labels.label(run, archived=True))
        if st.button("Bring all back", key="list.unarchive"):
            _to_each(rows, lambda run: labels.label(run, archived=False))
    sure = st.number_input(
        f"To delete all {len(rows):,}, type their number", 0, None, 0, key="list.delete.count",
        help="Their folders go, with models and predictions. They cannot be brought back.",
    )  # fmt: skip
    if st.button("Delete for good", key="list.delete", type="primary", disabled=sure != len(rows)):
        _to_each(rows, Run.delete)


def _to_each(rows: Rows, change: Callable[[Run], object]) -> None:
    """Do it to every run; those that refuse are told, the others are done."""
    refused = []
    for row in rows:
        try:
            change(Run(Workspace.current().run_folder(row["id"])))
        except WorkbenchError as error:
            refused.append(str(error))
    if refused:
        st.error(md(f"{len(refused)} of {len(rows)} refused: {refused[0]}", 500), icon=":material/error:")
    else:
        st.rerun()


def notes(run: Run) -> None:
    """Tags, note and archive of one run."""
    noted = labels.labels(run)
    words = " · ".join([*noted.tags, *(["archived"] if noted.archived else []), noted.notes[:60]]).strip(" ·")
    label = f"Tags and notes{': ' + md(words, 120) if words else ''}"
    with st.expander(label, icon=":material/sell:", key="run.notes"), st.form("run.notes.form", border=False):
        tags = st.text_input("Tags, with commas between", ", ".join(noted.tags), key=f"run.tags.{run.id}")
        text = st.text_area("Notes", noted.notes, key=f"run.note.{run.id}", max_chars=labels.LONGEST_NOTE)
        archived = st.checkbox("Archived: not in the list", noted.archived, key=f"run.archived.{run.id}")
        if st.form_submit_button("Save", icon=":material/save:", key="run.notes.save"):
            with shown("notes_error"):
                labels.label(run, tags=tags.split(","), notes=text, archived=archived)
                st.rerun()
