"""Playground: try a finished run on any input of its task, or two runs side by side."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.shared import first_visit, run_list
from dashboard.parts.shared.errors import show_errors
from workbench.i18n import _
from workbench.runs.run import Run
from workbench.workspace import Workspace

st.title(_("Playground"))
first_visit.explain(
    "playground",
    _(
        "**Playground** tries a finished run on your own text, or two runs side by side. One example is not "
        "evidence: *Compare* shows which run is better."
    ),
)
runs = [run for run in run_list.training_runs(run_list.newest_first()) if run.state == "succeeded"]
ids = run_list.ids(runs)
state.from_url(state.RUN, state.one_of(ids))
if not ids:
    run_list.show_empty(_("There is no finished run to try yet."))
    st.stop()
if st.session_state.get(state.RUN.key) not in ids:
    st.session_state[state.RUN.key] = ids[0]
left, right = st.columns(2, gap="large")
run_id = left.selectbox(_("Run"), ids, format_func=run_list.title, key=state.RUN.key)
state.to_url(state.RUN, run_id)

others: list[str | None] = [
    None,
    *(other for other in run_list.ids(run_list.same_task(runs, run_id)) if other != run_id),
]
other_choice = state.Playground.COMPARE_WITH
state.from_url(other_choice, state.known([other for other in others if other]))
if st.session_state.get(other_choice.key) not in others:
    st.session_state[other_choice.key] = None
other_id = right.selectbox(
    _("Compare with"),
    others,
    format_func=lambda other: _("none") if other is None else run_list.title(other),
    key=other_choice.key,
    help=_("Another run of the same task; it gets the same input."),
)
state.to_url(other_choice, other_id or "")
handles = [Run.open(chosen, Workspace.current()) for chosen in (run_id, other_id) if chosen is not None]

# These import torch: only when there is a model to try.
from dashboard.parts.playground import answers, inputs  # noqa: E402
from dashboard.parts.shared import side_by_side  # noqa: E402

with show_errors("play_error"):
    task = side_by_side.load(handles[0]).task
    form, results = (st.container(), st.container()) if other_id else st.columns([2, 3], gap="large")
    with form:
        values, options = inputs.ask(handles[0], task)
    with results:
        if not values and not inputs.may_be_empty(task):
            st.info(_("Type a text, or choose an example, then press Run."), icon=":material/edit:")
        else:
            answers.show(handles, values, options)
            answers.show_links(handles, values, options, task, runs)
