"""Runs: the table of all runs, and the queue."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.runs import actions, filter, queue, run_table
from dashboard.parts.shared import first_visit, run_list, stalled
from dashboard.parts.shared.errors import show_errors
from workbench.i18n import _
from workbench.runs.table import run_table as table_of
from workbench.workspace import Workspace

if st.query_params.get(state.RUN.param):  # links of earlier versions
    st.switch_page(state.RUN_PAGE, query_params=state.run_link(st.query_params[state.RUN.param]))
opened = st.session_state.pop(state.Runs.OPENED, None)
if opened is not None:
    st.switch_page(state.RUN_PAGE, query_params=state.run_link(opened))
st.title(_("Runs"))
first_visit.explain(
    "runs",
    _(
        "**Runs** lists all runs. Click one to see whether it is good, where it is wrong, and how to use it. You can "
        "search and tag runs, and compare those that you tick. Runs continue when you leave the page."
    ),
)
runs = run_list.newest_first()
run_list.show_strangers()
if not runs:
    run_list.show_empty(_("There are no runs yet."))
    st.stop()
filter.controls(table_of(Workspace.current(), runs))


@st.fragment(run_every=5)
def table() -> None:
    """Redraw regularly, so that a run started elsewhere appears."""
    if state.Runs.OPENED in st.session_state:
        st.rerun()  # the whole page, which opens the run
    latest = run_list.newest_first()
    rows = filter.filtered(table_of(Workspace.current(), latest))
    filter.show_groups(rows)
    stalled.draw_list(latest, "list")
    run_table.draw(latest, rows, filter.columns(), filter.metric())
    actions.draw(rows)


@st.fragment(run_every=5)
def queued() -> None:
    """Redraw the queue regularly."""
    queue.draw(Workspace.current())


with show_errors("table_error"):
    table()
queued()
