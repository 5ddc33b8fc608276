"""The queue: what runs next and why it waits; order, pause, and taking a run out."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.shared import run_list
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.text import md
from workbench import jobs
from workbench.errors import WorkbenchError
from workbench.runs.run import Run
from workbench.workspace import Workspace

SHOWN = 10  # runs, the next ones; the others are counted


def draw(workspace: Workspace) -> None:
    """The section Queue; nothing at all while nothing waits and nothing is paused."""
    found = jobs.queue_status(workspace)
    if not found["queued"] and not found["paused"]:
        return
    count = len(found["queued"])
    heading = f"Queue: {count} waiting" + (", paused" if found["paused"] else "")
    with (
        st.expander(heading, icon=":material/queue:", expanded=found["paused"], key="queue"),
        show_errors("queue_error"),
    ):
        with st.container(horizontal=True, vertical_alignment="center", key="queue_head"):
            _pause_button(found["paused"], workspace)
            st.caption(md(found["why"], 300))
        for place, run_id in enumerate(found["queued"][:SHOWN]):
            _row(place, run_id, count, workspace)
        if count > SHOWN:
            st.caption(f"And {count - SHOWN:,} more.")


def _pause_button(paused: bool, workspace: Workspace) -> None:
    if paused:
        if st.button("Continue", icon=":material/play_arrow:", type="primary", key="queue.continue"):
            jobs.unpause(workspace)
            st.rerun()
    elif st.button("Pause", icon=":material/pause:", key="queue.pause", help="What runs goes on; nothing is started."):
        jobs.pause(workspace)
        st.rerun()


def _row(place: int, run_id: str, count: int, workspace: Workspace) -> None:
    """A waiting run with its place, and the buttons that move it or take it out."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"queue_{run_id}"):
        up = st.button("", icon=":material/vertical_align_top:", key=f"queue.first.{run_id}", help="Next",
                       disabled=place == 0)  # fmt: skip
        down = st.button("", icon=":material/arrow_downward:", key=f"queue.later.{run_id}", help="One place later",
                         disabled=place == count - 1)  # fmt: skip
        out = st.button("", icon=":material/close:", key=f"queue.cancel.{run_id}",
                        help="Take it out of the queue; it can be resumed.")  # fmt: skip
        st.markdown(f"{place + 1}. {md(run_list.title(run_id), 90)}")
    if up or down or out:
        try:
            run = Run.open(run_id, workspace)
            jobs.cancel(run) if out else jobs.move(run, 0 if up else place + 1)
        except WorkbenchError as error:  # it has been started meanwhile
            st.toast(md(error.message, 300))
        st.rerun()
