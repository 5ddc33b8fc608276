"""Runs: the table of all runs, and one of them in full."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.runs import actions, detail, filter, queue, run_table
from dashboard.parts.shared import deferred, first_visit, run_list, stalled
from dashboard.parts.shared.errors import show_errors
from workbench.i18n import _
from workbench.runs.run import Run
from workbench.runs.table import run_table as table_of
from workbench.workspace import Workspace

st.title(_("Runs"))
first_visit.explain(
    "runs",
    _(
        "**Runs** lists all runs and shows one of them: its progress, results and cost. You can filter runs, tag them "
        "and add notes. Runs continue when you leave the page."
    ),
)
runs = run_list.newest_first()
run_list.show_strangers()
ids = run_list.ids(runs)
state.from_url(state.RUN, state.one_of(ids))
if not runs:
    run_list.show_empty(_("There are no runs yet."))
    st.stop()
if st.session_state.get(state.RUN.key) not in ids:
    st.session_state[state.RUN.key] = ids[0]
filter.controls(table_of(Workspace.current(), runs))


@st.fragment(run_every=5)
def table() -> None:
    """Redraw regularly, so that a run started elsewhere appears."""
    latest = run_list.newest_first()
    rows = filter.filtered(table_of(Workspace.current(), latest))
    filter.show_groups(rows)
    stalled.draw_list([run for run in latest if run.id != run_id], "list")  # the run below shows it itself
    run_table.draw(latest, rows, st.session_state.get(state.RUN.key), filter.columns(), filter.metric())
    actions.draw(rows)
    if st.session_state.get(state.RUN.key) != run_id:
        st.rerun()


@st.fragment(run_every=5)
def queued() -> None:
    """Redraw the queue regularly."""
    queue.draw(Workspace.current())


run_id = st.session_state[state.RUN.key]
with show_errors("table_error"):
    table()
queued()
run_id = st.selectbox(
    _("Show run"),
    ids,
    format_func=run_list.chooser_label(runs),
    key=state.RUN.key,
    help=_("Or click a row. Tick rows for bulk actions."),
)
state.to_url(state.RUN, run_id)
run = Run.open(run_id, Workspace.current())
summary = run.summary(with_spec=False)
with show_errors("detail_error"):
    detail.header(run, summary)
    filter.edit_notes(run)
    detail.results(summary)
    deferred.let_browser_draw("runs")
    detail.live(run, summary)
    detail.documents(run)
