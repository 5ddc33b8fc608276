"""Home: what to do next, what runs now and what waits, the last runs, and what this machine can do."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.home import overview
from dashboard.parts.shared import first_visit, run_list
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.machine import show_machine
from workbench.workspace import Workspace

st.title("Home")
first_visit.explain(
    "home",
    "Teach a language model a task of yours on this machine, and see how far its results can be trusted: **Data** "
    "first, then **Launch**, watch it in **Runs**, judge it in **Compare**, look inside with **Explain**. "
    "**Learn** has the course behind it.",
)
workspace = Workspace.current()
runs = run_list.newest_first()
ended = [run for run in runs if run.state not in run_list.ACTIVE]
active = run_list.ids(runs, *run_list.ACTIVE)


@st.fragment(run_every=3 if active else None)
def now_and_next() -> None:
    """Drawn again by itself while something runs; the whole page when a run has ended or begun to wait."""
    found = run_list.newest_first()
    if run_list.ids(found, *run_list.ACTIVE) != active:
        st.rerun()
    overview.now_and_next(found, workspace)


with st.container(border=True, key="home_next"):
    st.subheader("Next step", anchor=False)
    overview.next_step(runs)
with show_errors("running_error"):
    st.subheader("Now and next", anchor=False)
    now_and_next()
if ended:
    st.subheader("Last runs", help="The key metric on the test examples, with its 95% interval.", anchor=False)
    overview.last_runs(ended)
with show_errors("machine_error"):
    show_machine()
