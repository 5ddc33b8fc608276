"""Home: what this machine can do, what runs now, the last results, and what to do next."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts import run_list
from dashboard.parts.errors import shown
from dashboard.parts.machine import show_machine
from dashboard.parts.progress import show_progress
from dashboard.parts.states import badge
from dashboard.parts.text import ago, cut, interval, md

RESULTS = 5

st.title("Home")
runs = run_list.newest_first()
finished = [run for run in runs if run["state"] == "succeeded"]
alike = run_list.last_alike(runs)


def next_step() -> None:
    """One clear thing to do, by what has been done so far."""
    if not runs:
        st.markdown("Fine-tune a small Transformer on film reviews: about a minute on a laptop, no account, no GPU.")
        if st.button("Start with the demo run", type="primary", icon=":material/rocket_launch:", key="home.demo"):
            st.switch_page(state.LAUNCH_PAGE, query_params={state.PRESET: "demo-full"})
    elif len(alike) == 2:
        st.markdown("Two or more runs are finished: see whether they really differ.")
        if st.button("Compare the last two", type="primary", icon=":material/compare_arrows:", key="home.compare"):
            st.switch_page(state.COMPARE_PAGE, query_params={state.RUNS: ",".join(alike)})
    elif alike:
        st.markdown("Your first run is finished. Try another way of tuning, then compare the two.")
        if st.button("Launch a second run", type="primary", icon=":material/rocket_launch:", key="home.launch"):
            st.switch_page(state.LAUNCH_PAGE)
    else:
        st.markdown("See how the run is doing, or why it ended.")
        if st.button("Show the newest run", type="primary", icon=":material/list_alt:", key="home.runs"):
            st.switch_page(state.RUNS_PAGE, query_params={state.RUN: runs[0]["id"]})


def last_results() -> None:
    for run in finished[:RESULTS]:
        left, middle, right = st.columns([5, 3, 2], vertical_alignment="center")
        inside = run_list.explainable(run)
        left.page_link(
            state.EXPLAIN_PAGE if inside else state.RUNS_PAGE,
            label=md(run_list.title(run["id"])),
            query_params={state.RUN: run["id"]},
            help="Look inside this run" if inside else "Show this run",
        )
        metric = run_list.key_metric(run["report"])
        middle.text(f"{cut(metric[0].replace('_', ' '), 40)} {interval(metric[1])}" if metric else "no figures")
        right.caption(ago(run.get("created")))


@st.fragment(run_every=3 if run_list.ids(runs, *run_list.ACTIVE) else None)
def now_running() -> None:
    active = [run for run in run_list.newest_first() if run["state"] in run_list.ACTIVE]
    if not active and run_list.ids(runs, *run_list.ACTIVE):
        st.rerun()
    for run in reversed(active[-RESULTS:]):
        with st.container(horizontal=True, vertical_alignment="center"):
            badge(run["state"])
            st.page_link(state.RUNS_PAGE, label=md(run_list.title(run["id"])), query_params={state.RUN: run["id"]})
        show_progress(run)
    if not active:
        st.caption("Nothing is running, and nothing waits.")


with st.container(border=True, key="home_next"):
    st.subheader("Next step")
    next_step()
with shown("running_error"):
    st.subheader("Running now")
    now_running()
if finished:
    st.subheader("Last results", help="The key metric on the test examples, with its 95% interval.")
    last_results()
with shown("machine_error"):
    show_machine()
