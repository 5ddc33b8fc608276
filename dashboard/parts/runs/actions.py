"""What is done with many runs at once: compared, exported, tagged, archived, deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.runs import run_table
from dashboard.parts.shared.text import md
from workbench.errors import WorkbenchError
from workbench.runs import export, tags
from workbench.runs.run import Run
from workbench.workspace import Workspace

Rows = list[dict[str, Any]]


def draw(rows: Rows) -> None:
    """What can be done with the runs that are ticked; with all that are shown, when none is.

    Args:
        rows: that are shown, in their order.
    """
    ticked = run_table.ticked(rows)
    count = f"{len(rows):,} {'run' if len(rows) == 1 else 'runs'}" + (f", {len(ticked):,} ticked" if ticked else "")
    rows = ticked or rows
    with st.container(horizontal=True, vertical_alignment="center", key="list_actions"):
        st.caption(count)
        _compare(rows)
        st.download_button(
            "CSV", lambda: export.as_csv(rows).encode("utf-8", errors="replace"), "runs.csv", "text/csv",
            key="list.csv", icon=":material/download:", on_click="ignore", help="These runs, with all their fields.",
        )  # fmt: skip
        st.download_button(
            "Parquet", lambda: export.as_parquet(rows), "runs.parquet", "application/vnd.apache.parquet",
            key="list.parquet", icon=":material/download:", on_click="ignore", help="The same, with types.",
        )  # fmt: skip
        if rows:
            with st.popover(f"Change these {len(rows):,}", icon=":material/edit_note:", key="list.change"):
                _changes(rows)


def _compare(rows: Rows) -> None:
    """The way to Compare with all of them."""
    runs = [row["id"] for row in rows if row["kind"] in (None, "training")]
    fits = 2 <= len(runs) <= state.MAX_RUNS
    tip = "The first one is what the others are compared with."
    if not fits:
        tip = f"2 to {state.MAX_RUNS} trainings can be compared; tick some, or write a filter."
    if st.button(
        f"Compare these {len(runs):,}",
        icon=":material/compare_arrows:",
        key="list.compare",
        disabled=not fits,
        help=tip,
    ):
        st.switch_page(state.COMPARE_PAGE, query_params={state.Compare.RUNS.param: ",".join(runs)})


def _changes(rows: Rows) -> None:
    tag = st.text_input("Tag", key="list.tag", max_chars=tags.MAX_TAG_LENGTH)
    with st.container(horizontal=True):
        if st.button("Add to all", key="list.tag.add", disabled=not tag):
            _to_each(rows, lambda run: tags.tag(run, [tag]))
        if st.button("Take from all", key="list.tag.remove", disabled=not tag):
            _to_each(rows, lambda run: tags.tag(run, remove=[tag]))
    with st.container(horizontal=True):
        if st.button("Archive all", key="list.archive", help="They stay on disk, and leave the list."):
            _to_each(rows, lambda run: tags.update_tags(run, archived=True))
        if st.button("Bring all back", key="list.unarchive"):
            _to_each(rows, lambda run: tags.update_tags(run, archived=False))
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
