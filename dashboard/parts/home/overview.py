"""The sections of Home: the next step, what is running and queued, the last runs."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard import state
from dashboard.parts.shared import run_list, stalled
from dashboard.parts.shared.data import uploads
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.progress import show_progress
from dashboard.parts.shared.run_states import badge, look
from dashboard.parts.shared.text import ago, cut, interval, md
from workbench import jobs
from workbench.check import presets
from workbench.i18n import _, ngettext
from workbench.runs.documents import RunSummary
from workbench.workspace import Workspace

MAX_LAST, MAX_RUNNING, MAX_QUEUED = 6, 5, 3  # runs that are shown


def drop_zone() -> None:
    """Draw the field for a file; a file that was dropped is opened on Data."""
    uploads.draw_uploader(
        state.Data.UPLOADED, _("Drop a file with texts and labels here: CSV, Excel, JSON, Parquet, or plain text")
    )
    path = st.session_state.pop(state.Data.UPLOADED, None)
    if path:
        st.switch_page(state.DATA_PAGE, query_params={state.Data.DATASET.param: Path(path).name})


def next_step(runs: list[RunSummary], workspace: Workspace) -> None:
    """Show one clear thing to do, depending on what has been done so far.

    Args:
        runs: summaries of all runs, newest first.
        workspace: where a run is stored.
    """
    comparable = run_list.last_comparable(runs)
    if not runs:
        st.markdown(
            _(
                "No file at hand? Train a small model on film reviews: one click, no account, no GPU. It first "
                "downloads about 100 MB, and then takes a few minutes."
            )
        )
        if st.button(_("Start the demo"), icon=":material/rocket_launch:", key="home.demo"):
            with show_errors("home_demo_error"):
                run = jobs.submit(presets()["demo-full"], workspace, confined=True)
                st.switch_page(state.RUNS_PAGE, query_params={state.RUN.param: run.id})
        with st.container(horizontal=True, key="home_others"):
            st.page_link(state.DATA_PAGE, label=_("Or choose a data set"), icon=":material/table:")
            st.page_link(state.LEARN_PAGE, label=_("Or learn how Transformers work"), icon=":material/school:")
    elif len(comparable) == 2:
        st.markdown(_("Two or more runs have finished. See whether they really differ."))
        if st.button(_("Compare the last two"), type="primary", icon=":material/compare_arrows:", key="home.compare"):
            st.switch_page(state.COMPARE_PAGE, query_params={state.Compare.RUNS.param: ",".join(comparable)})
    elif comparable:
        st.markdown(_("A run has finished. Try another fine-tuning method on the same data, then compare the two."))
        if st.button(_("Launch a second run"), type="primary", icon=":material/rocket_launch:", key="home.launch"):
            st.switch_page(state.LAUNCH_PAGE, query_params={state.Launch.FROM.param: comparable[0]})
        st.page_link(
            state.PLAYGROUND_PAGE,
            label=_("Or try it on your own text"),
            icon=":material/chat:",
            query_params={state.RUN.param: comparable[0]},
        )
    else:
        st.markdown(_("See how the run is doing, or why it ended."))
        if st.button(_("Show the newest run"), type="primary", icon=":material/list_alt:", key="home.runs"):
            st.switch_page(state.RUN_PAGE, query_params=state.run_link(runs[0].id))


def running_and_queued(runs: list[RunSummary], workspace: Workspace) -> None:
    """Show the running runs with their progress, then the queued ones and why they wait.

    Args:
        runs: summaries of all runs, newest first.
        workspace: whose queue.
    """
    running = [run for run in runs if run.state == "running"]
    stalled.draw_list(running, "home")
    for run in reversed(running[:MAX_RUNNING]):
        with st.container(horizontal=True, vertical_alignment="center"):
            badge(run.state)
            _link(run)
        show_progress(run)
    if len(running) > MAX_RUNNING:
        more = len(running) - MAX_RUNNING
        st.caption(ngettext("{n} more run is running.", "{n} more runs are running.", more).format(n=f"{more:,}"))
    status = jobs.queue_status(workspace)
    by_id = {run.id: run for run in runs}
    waiting = dict.fromkeys([*status["queued"], *run_list.ids(runs, "queued")])  # also one that is being started
    queued = [by_id[run_id] for run_id in waiting if run_id in by_id and by_id[run_id].state == "queued"]
    for position, run in enumerate(queued[:MAX_QUEUED], start=1):
        with st.container(horizontal=True, vertical_alignment="center"):
            badge(run.state)
            _link(run)
            st.caption(_("next") if position == 1 else f"{position}.", width="content")
    if len(queued) > MAX_QUEUED:
        more = len(queued) - MAX_QUEUED
        st.caption(ngettext("{n} more run is queued.", "{n} more runs are queued.", more).format(n=f"{more:,}"))
    if queued or status["paused"]:
        st.caption(md(_(status["why"]), 300))
    elif not running:
        st.caption(_("Nothing is running or queued."))


def _link(run: RunSummary) -> None:
    st.page_link(state.RUN_PAGE, label=md(run_list.title(run.id)), query_params=state.run_link(run.id))


def last_runs(runs: list[RunSummary]) -> None:
    """Show the runs that ended last: the result of each, and a link to it.

    Args:
        runs: summaries of the runs that ended, newest first.
    """
    for run in runs[:MAX_LAST]:
        name, result, when = st.columns([6, 4, 2], vertical_alignment="center")
        name.page_link(
            state.RUN_PAGE,
            label=md(run_list.title(run.id)),
            icon=look(run.state).icon,
            query_params=state.run_link(run.id),
            help=_("Show this run"),
        )
        metric = run_list.key_metric(run.report)
        if metric:
            result.text(f"{cut(_(metric[0].replace('_', ' ')), 40)} {interval(metric[1])}")
        else:
            result.text(_(look(run.state).name))
        when.caption(ago(run.created))
    if len(runs) > MAX_LAST:
        label = _("All {n} finished runs").format(n=f"{len(runs):,}")
        st.page_link(state.RUNS_PAGE, label=label, icon=":material/list_alt:")
