"""Playground: ask a finished run anything that its task takes, or two runs side by side."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.shared import first_visit, run_list
from dashboard.parts.shared.errors import show_errors
from workbench.runs.run import Run
from workbench.workspace import Workspace

st.title("Playground")
first_visit.explain(
    "playground",
    "**Playground** asks a finished run about a text of yours, as often as you like, and two runs side by side. "
    "What it says of one text proves nothing: *Compare* tells which run is better.",
)
runs = [run for run in run_list.trainings(run_list.newest_first()) if run.state == "succeeded"]
ids = run_list.ids(runs)
state.from_url(state.RUN, state.one_of(ids))
if not ids:
    run_list.nothing_yet("There is no finished run to ask yet.")
    st.stop()
if st.session_state.get(state.RUN.key) not in ids:
    st.session_state[state.RUN.key] = ids[0]
one, two = st.columns(2, gap="large")
chosen = one.selectbox("Run", ids, format_func=run_list.title, key=state.RUN.key)
state.to_url(state.RUN, chosen)

others: list[str | None] = [None, *(run for run in run_list.ids(run_list.of_the_task(runs, chosen)) if run != chosen)]
state.from_url(state.Playground.COMPARE_WITH, lambda given: given if given in others else None)
if st.session_state.get(state.Playground.COMPARE_WITH.key) not in others:
    st.session_state[state.Playground.COMPARE_WITH.key] = None
beside = two.selectbox(
    "Beside it",
    others,
    format_func=lambda run: "nothing" if run is None else run_list.title(run),
    key=state.Playground.COMPARE_WITH.key,
    help="Another run that learned the same task, asked the same.",
)
state.to_url(state.Playground.COMPARE_WITH, beside or "")
handles = [Run.open(run, Workspace.current()) for run in (chosen, beside) if run is not None]

# These bring torch: only when there is a model to ask.
from dashboard.parts.playground import answers, inputs  # noqa: E402
from dashboard.parts.shared import side_by_side  # noqa: E402

with show_errors("play_error"):
    task = side_by_side.load(handles[0]).task
    asking, answering = (st.container(), st.container()) if beside else st.columns([2, 3], gap="large")
    with asking:
        given, options = inputs.ask(handles[0], task)
    with answering:
        if not given and not inputs.may_be_empty(task):
            st.info("Write something, or take an example, and ask.", icon=":material/edit:")
        else:
            answers.show(handles, given, options)
            answers.tell_more(handles, given, options, task, runs)
