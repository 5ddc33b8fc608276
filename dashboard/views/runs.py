"""Runs: the table of all runs, and one of them in full."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.runs import actions, detail, filter, queue, run_table
from dashboard.parts.shared import deferred, first_visit, run_list
from dashboard.parts.shared.errors import show_errors
from workbench.runs.run import Run
from workbench.runs.table import run_table as table_of
from workbench.workspace import Workspace

st.title("Runs")
first_visit.explain(
    "runs",
    "**Runs** lists all runs and shows one of them: how it goes, what it reached, what it cost. Filter, "
    "tag and note them; nothing is lost when you leave the page.",
)
runs = run_list.newest_first()
ids = run_list.ids(runs)
state.from_url(state.RUN, state.one_of(ids))
if not runs:
    run_list.nothing_yet()
    st.stop()
if st.session_state.get(state.RUN.key) not in ids:
    st.session_state[state.RUN.key] = ids[0]
filter.controls(table_of(Workspace.current(), runs))


@st.fragment(run_every=5)
def table() -> None:
    """Drawn again by itself, so that a run started elsewhere appears."""
    found = run_list.newest_first()
    rows = filter.chosen(table_of(Workspace.current(), found))
    filter.show_groups(rows)
    chosen_columns, metric = filter.columns(), filter.metric()
    run_table.draw(found, rows, st.session_state.get(state.RUN.key), chosen_columns, metric)
    actions.draw(rows)
    if st.session_state.get(state.RUN.key) != chosen:
        st.rerun()


@st.fragment(run_every=5)
def waiting() -> None:
    queue.draw(Workspace.current())


chosen = st.session_state[state.RUN.key]
with show_errors("table_error"):
    table()
waiting()
chosen = st.selectbox(
    "Show run",
    ids,
    format_func=run_list.chooser_label(runs),
    key=state.RUN.key,
    help="Or click one in the table. A tick takes a run for what is done with several.",
)
state.to_url(state.RUN, chosen)
run = Run.open(chosen, Workspace.current())
summary = run.summary(with_spec=False)
with show_errors("detail_error"):
    detail.header(run, summary)
    filter.notes(run)
    detail.results(summary)
    deferred.let_browser_draw("runs")
    detail.live(run, summary)
    detail.documents(run)
