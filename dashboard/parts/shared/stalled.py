"""Runs that make no progress or do not end: the warning, and the buttons that stop them or end them by force."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from dashboard import state
from dashboard.parts.shared import run_list
from dashboard.parts.shared.text import duration, md
from workbench import jobs
from workbench.errors import WorkbenchError
from workbench.i18n import _
from workbench.runs.documents import RunSummary
from workbench.runs.run import Run
from workbench.runs.stalled import may_be_forced, seconds_since_stop, seconds_without_progress
from workbench.workspace import Workspace

MAX_SHOWN = 5  # runs of a list


def is_stalled(summary: RunSummary) -> bool:
    """Return whether a run makes no progress, or does not end although it was asked to.

    Args:
        summary: of the run.
    """
    return seconds_without_progress(summary) is not None or may_be_forced(summary)


def draw(summary: RunSummary) -> None:
    """Show that a run makes no progress or does not end, and the button that ends it by force; on the run's own page.

    Args:
        summary: of the run.
    """
    idle, since_stop = seconds_without_progress(summary), seconds_since_stop(summary)
    if idle is not None:
        text = _("No progress for {duration}. If the run does not stop, you can end it by force.")
        st.warning(md(text.format(duration=duration(idle))), icon=":material/hourglass_disabled:")
    if since_stop is not None and may_be_forced(summary):
        text = _("This run was asked to stop {duration} ago and has not ended.")
        st.warning(md(text.format(duration=duration(since_stop))), icon=":material/front_hand:")
        _force_button(summary.id, "run.force")


def draw_list(summaries: Iterable[RunSummary], prefix: str) -> None:
    """Show the runs of a list that make no progress or do not end, each with a link and a button to stop or end it.

    Args:
        summaries: of runs; only those that are stalled are shown.
        prefix: of the keys of the buttons.
    """
    stalled = [summary for summary in summaries if is_stalled(summary)]
    for summary in stalled[:MAX_SHOWN]:
        idle, since_stop = seconds_without_progress(summary), seconds_since_stop(summary)
        text = _("No progress for {duration}").format(duration=duration(idle))
        if since_stop is not None:
            text = _("Asked to stop {duration} ago").format(duration=duration(since_stop))
        with st.container(horizontal=True, vertical_alignment="center", key=f"{prefix}.stalled.{summary.id}"):
            st.badge(text, icon=":material/hourglass_disabled:", color="orange")
            title = md(run_list.title(summary.id), 90)
            st.page_link(state.RUN_PAGE, label=title, query_params=state.run_link(summary.id))
            if since_stop is None:
                _stop_button(summary.id, f"{prefix}.stop.{summary.id}")
            elif may_be_forced(summary):
                _force_button(summary.id, f"{prefix}.force.{summary.id}")
            else:
                st.caption(_("stopping"), width="content")


def _stop_button(run_id: str, key: str) -> None:
    help = _("If the run does not stop within half a minute, you can end it by force.")
    if st.button(_("Stop"), icon=":material/stop:", key=key, help=help):
        _stop(run_id, None)


def _force_button(run_id: str, key: str) -> None:
    help = _("Ends its process. What it did since the last checkpoint is lost; you can resume it from there.")
    if st.button(_("End by force"), icon=":material/dangerous:", key=key, help=help):
        with st.spinner(_("Ending the run ...")):
            _stop(run_id, 0.0)


def _stop(run_id: str, kill_after: float | None) -> None:
    try:
        jobs.stop(Run.open(run_id, Workspace.current()), kill_after=kill_after)
    except WorkbenchError as error:  # it has ended or was deleted in the meantime
        st.toast(md(error.message, 300))
    st.rerun()
