"""Home: a drop zone for a file, the next step, what is running and queued, the last runs, and this machine."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.home import overview
from dashboard.parts.shared import first_visit, run_list
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.machine import show_machine
from workbench.i18n import _
from workbench.workspace import Workspace

st.title(_("Home"))
first_visit.explain(
    "home",
    _(
        "Train a language model for a task of your own on this machine, and see how far you can trust its results. "
        "Drop a file: it opens as a table, with a first score within seconds."
    ),
)
workspace = Workspace.current()
runs = run_list.newest_first()
finished = [run for run in runs if run.state not in run_list.ACTIVE]
active = run_list.ids(runs, *run_list.ACTIVE)


@st.fragment(run_every=3 if active else None)
def running_and_queued() -> None:
    """Redraw while something runs; rerun the whole page when a run has ended or was queued."""
    latest = run_list.newest_first()
    if run_list.ids(latest, *run_list.ACTIVE) != active:
        st.rerun()
    overview.running_and_queued(latest, workspace)


with st.container(key="home_drop"), show_errors("drop_error"):
    overview.drop_zone()
with st.container(border=True, key="home_next"):
    st.subheader(_("Next step") if runs else _("Or see it work"), anchor=False)
    overview.next_step(runs, workspace)
with show_errors("running_error"):
    st.subheader(_("Running and queued"), anchor=False)
    running_and_queued()
if finished:
    help = _("The primary metric on the test examples, with its 95% interval.")
    st.subheader(_("Last runs"), help=help, anchor=False)
    overview.last_runs(finished)
with show_errors("machine_error"):
    show_machine()
