"""The sections of Home: the next step, what runs and what waits, the last runs."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.shared import run_list
from dashboard.parts.shared.progress import show_progress
from dashboard.parts.shared.run_states import badge, look
from dashboard.parts.shared.text import ago, cut, interval, md
from workbench import jobs
from workbench.runs.documents import RunSummary
from workbench.workspace import Workspace

LAST, SHOWN_RUNNING, SHOWN_WAITING = 6, 5, 3  # runs


def next_step(runs: list[RunSummary]) -> None:
    """One clear thing to do, by what has been done so far."""
    alike = run_list.last_alike(runs)
    if not runs:
        st.markdown("Fine-tune a small Transformer on film reviews: about a minute on a laptop, no account, no GPU.")
        if st.button("Start with the demo run", type="primary", icon=":material/rocket_launch:", key="home.demo"):
            st.switch_page(state.LAUNCH_PAGE, query_params={state.Launch.PRESET.param: "demo-full"})
        with st.container(horizontal=True, key="home_others"):
            st.page_link(state.DATA_PAGE, label="Or begin with a file of yours", icon=":material/table:")
            st.page_link(state.LEARN_PAGE, label="Or learn how Transformers work", icon=":material/school:")
    elif len(alike) == 2:
        st.markdown("Two or more runs are finished: see whether they really differ.")
        if st.button("Compare the last two", type="primary", icon=":material/compare_arrows:", key="home.compare"):
            st.switch_page(state.COMPARE_PAGE, query_params={state.Compare.RUNS.param: ",".join(alike)})
    elif alike:
        st.markdown("A run is finished. Try another way of tuning on the same data, then compare the two.")
        if st.button("Launch a second run", type="primary", icon=":material/rocket_launch:", key="home.launch"):
            st.switch_page(state.LAUNCH_PAGE, query_params={state.Launch.FROM.param: alike[0]})
        st.page_link(
            state.PLAYGROUND_PAGE,
            label="Or ask it about a text of yours",
            icon=":material/chat:",
            query_params={state.RUN.param: alike[0]},
        )
    else:
        st.markdown("See how the run is doing, or why it ended.")
        if st.button("Show the newest run", type="primary", icon=":material/list_alt:", key="home.runs"):
            st.switch_page(state.RUNS_PAGE, query_params={state.RUN.param: runs[0].id})


def now_and_next(runs: list[RunSummary], workspace: Workspace) -> None:
    """What runs, with its progress; what comes then, and why it waits."""
    running = [run for run in runs if run.state == "running"]
    for run in reversed(running[:SHOWN_RUNNING]):
        with st.container(horizontal=True, vertical_alignment="center"):
            badge(run.state)
            _link(run)
        show_progress(run)
    if len(running) > SHOWN_RUNNING:
        st.caption(f"And {len(running) - SHOWN_RUNNING:,} more are running.")
    found = jobs.queue_status(workspace)
    by_id = {run.id: run for run in runs}
    waiting = dict.fromkeys([*found["queued"], *run_list.ids(runs, "queued")])  # also one that is being started
    queued = [by_id[run_id] for run_id in waiting if run_id in by_id and by_id[run_id].state == "queued"]
    for place, run in enumerate(queued[:SHOWN_WAITING], start=1):
        with st.container(horizontal=True, vertical_alignment="center"):
            badge(run.state)
            _link(run)
            st.caption("next" if place == 1 else f"{place}.", width="content")
    if len(queued) > SHOWN_WAITING:
        st.caption(f"And {len(queued) - SHOWN_WAITING:,} more wait.")
    if queued or found["paused"]:
        st.caption(md(found["why"], 300))
    elif not running:
        st.caption("Nothing is running, and nothing waits.")


def _link(run: RunSummary) -> None:
    st.page_link(state.RUNS_PAGE, label=md(run_list.title(run.id)), query_params={state.RUN.param: run.id})


def last_runs(runs: list[RunSummary]) -> None:
    """The runs that ended last: what each reached, and where to look at it."""
    for run in runs[:LAST]:
        name, result, when = st.columns([6, 4, 2], vertical_alignment="center")
        inside = run_list.explainable(run)
        name.page_link(
            state.EXPLAIN_PAGE if inside else state.RUNS_PAGE,
            label=md(run_list.title(run.id)),
            icon=look(run.state).icon,
            query_params={state.RUN.param: run.id},
            help="Look inside this run" if inside else "Show this run",
        )
        metric = run_list.key_metric(run.report)
        said = f"{cut(metric[0].replace('_', ' '), 40)} {interval(metric[1])}" if metric else run.state
        result.text(said)
        when.caption(ago(run.created))
    if len(runs) > LAST:
        st.page_link(state.RUNS_PAGE, label=f"All {len(runs):,} runs that ended", icon=":material/list_alt:")
