"""The queue: which runs are next and why they wait; reorder, pause, and remove a run."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.shared import run_list
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.text import md
from workbench import jobs
from workbench.errors import WorkbenchError
from workbench.i18n import _
from workbench.runs.run import Run
from workbench.workspace import Workspace

MAX_SHOWN = 10  # runs, the next ones; the others are counted


def draw(workspace: Workspace) -> None:
    """Draw the section Queue; nothing while no run waits and the queue is not paused.

    Args:
        workspace: whose queue.
    """
    status = jobs.queue_status(workspace)
    queued, paused = status["queued"], status["paused"]
    if not queued and not paused:
        return
    heading = _("Queue: {n} waiting, paused") if paused else _("Queue: {n} waiting")
    heading = heading.format(n=len(queued))
    with st.expander(heading, icon=":material/queue:", expanded=paused, key="queue"), show_errors("queue_error"):
        with st.container(horizontal=True, vertical_alignment="center", key="queue_head"):
            _pause_button(paused, workspace)
            st.caption(md(_(status["why"]), 300))
        for position, run_id in enumerate(queued[:MAX_SHOWN]):
            _row(position, run_id, len(queued), workspace)
        if len(queued) > MAX_SHOWN:
            st.caption(_("And {n} more.").format(n=f"{len(queued) - MAX_SHOWN:,}"))


def _pause_button(paused: bool, workspace: Workspace) -> None:
    if paused:
        if st.button(_("Continue"), icon=":material/play_arrow:", type="primary", key="queue.continue"):
            jobs.unpause(workspace)
            st.rerun()
    elif st.button(
        _("Pause"), icon=":material/pause:", key="queue.pause", help=_("Running runs continue; no new run starts.")
    ):
        jobs.pause(workspace)
        st.rerun()


def _row(position: int, run_id: str, count: int, workspace: Workspace) -> None:
    """Draw a waiting run with its position, and the buttons that move or remove it."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"queue_{run_id}"):
        first = st.button("", icon=":material/vertical_align_top:", key=f"queue.first.{run_id}",
                          help=_("Move to the front"), disabled=position == 0)  # fmt: skip
        later = st.button("", icon=":material/arrow_downward:", key=f"queue.later.{run_id}", help=_("Move down"),
                          disabled=position == count - 1)  # fmt: skip
        cancelled = st.button("", icon=":material/close:", key=f"queue.cancel.{run_id}",
                              help=_("Remove from the queue; you can resume the run later."))  # fmt: skip
        st.markdown(f"{position + 1}. {md(run_list.title(run_id), 90)}")
    if first or later or cancelled:
        try:
            run = Run.open(run_id, workspace)
            if cancelled:
                jobs.cancel(run)
            else:
                jobs.move(run, 0 if first else position + 1)
        except WorkbenchError as error:  # it has started in the meantime
            st.toast(md(error.message, 300))
        st.rerun()
