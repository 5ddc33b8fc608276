"""Bulk actions on runs: compare, export, tag, archive, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.runs import run_table
from dashboard.parts.shared.text import md
from workbench.errors import WorkbenchError
from workbench.i18n import _, ngettext
from workbench.runs import export, tags
from workbench.runs.run import Run
from workbench.workspace import Workspace

Rows = list[dict[str, Any]]


def draw(rows: Rows) -> None:
    """Draw the actions for the ticked runs, or for all that are shown if none is ticked.

    Args:
        rows: rows of the runs that are shown, in their order.
    """
    ticked = run_table.ticked(rows)
    count = ngettext("{n} run", "{n} runs", len(rows)).format(n=f"{len(rows):,}")
    if ticked:
        count = _("{runs}, {n} ticked").format(runs=count, n=f"{len(ticked):,}")
    rows = ticked or rows
    with st.container(horizontal=True, vertical_alignment="center", key="list_actions"):
        st.caption(count)
        _compare(rows)
        st.download_button(
            "CSV", lambda: export.as_csv(rows).encode("utf-8", errors="replace"), "runs.csv", "text/csv",
            key="list.csv", icon=":material/download:", on_click="ignore", help=_("These runs, with all their fields."),
        )  # fmt: skip
        st.download_button(
            "Parquet", lambda: export.as_parquet(rows), "runs.parquet", "application/vnd.apache.parquet",
            key="list.parquet", icon=":material/download:", on_click="ignore", help=_("The same, with types."),
        )  # fmt: skip
        if rows:
            label = ngettext("Edit {n} run", "Edit {n} runs", len(rows)).format(n=f"{len(rows):,}")
            with st.popover(label, icon=":material/edit_note:", key="list.change"):
                _edit(rows)


def _compare(rows: Rows) -> None:
    """Draw the button that opens Compare with all of them."""
    runs = [row["id"] for row in rows if row["kind"] in (None, "training")]
    allowed = 2 <= len(runs) <= state.MAX_RUNS
    help = _("All runs are compared with the first one.")
    if not allowed:
        help = _("You can compare 2 to {max} training runs. Tick some, or filter the list.").format(max=state.MAX_RUNS)
    if st.button(
        ngettext("Compare {n} run", "Compare {n} runs", len(runs)).format(n=f"{len(runs):,}"),
        icon=":material/compare_arrows:",
        key="list.compare",
        disabled=not allowed,
        help=help,
    ):
        st.switch_page(state.COMPARE_PAGE, query_params={state.Compare.RUNS.param: ",".join(runs)})


def _edit(rows: Rows) -> None:
    tag = st.text_input(_("Tag"), key="list.tag", max_chars=tags.MAX_TAG_LENGTH)
    with st.container(horizontal=True):
        if st.button(_("Add to all"), key="list.tag.add", disabled=not tag):
            _for_each(rows, lambda run: tags.tag(run, [tag]))
        if st.button(_("Remove from all"), key="list.tag.remove", disabled=not tag):
            _for_each(rows, lambda run: tags.tag(run, remove=[tag]))
    with st.container(horizontal=True):
        if st.button(_("Archive all"), key="list.archive", help=_("Hides them from the list; they stay on disk.")):
            _for_each(rows, lambda run: tags.update_tags(run, archived=True))
        if st.button(_("Restore all"), key="list.unarchive", help=_("Shows archived runs in the list again.")):
            _for_each(rows, lambda run: tags.update_tags(run, archived=False))
    confirmed = st.number_input(
        _("To delete all of them, enter their number ({n})").format(n=len(rows)), 0, None, 0, key="list.delete.count",
        help=_("This deletes their folders with models and predictions. It cannot be undone."),
    )  # fmt: skip
    if st.button(_("Delete permanently"), key="list.delete", type="primary", disabled=confirmed != len(rows)):
        _for_each(rows, Run.delete)


def _for_each(rows: Rows, change: Callable[[Run], object]) -> None:
    """Apply a change to every run, and show how many refused it."""
    refused = []
    for row in rows:
        try:
            change(Run(Workspace.current().run_folder(row["id"])))
        except WorkbenchError as error:
            refused.append(str(error))
    if refused:
        text = _("{n} of {total} runs could not be changed: {reason}")
        st.error(md(text.format(n=len(refused), total=len(rows), reason=refused[0]), 500), icon=":material/error:")
    else:
        st.rerun()
