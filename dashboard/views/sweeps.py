"""Sweeps: start a search over settings, watch it, and take the best trial to Launch."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.shared import first_visit
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.sweeps import sweep_form, sweep_results
from workbench.i18n import _
from workbench.jobs.sweeps import Sweep
from workbench.workspace import Workspace

st.title(_("Sweeps"))
first_visit.explain(
    "sweeps",
    _(
        "**Sweeps** repeat a run with different settings or several seeds and show which did best. Each trial is an "
        "ordinary run."
    ),
)
workspace = Workspace.current()
names = [sweep.name for sweep in Sweep.all(workspace)]


def sweep_in_link(name: str) -> str | None:
    """Return the sweep of a link, or warn that it does not exist.

    Args:
        name: as the link says.
    """
    if name in names:
        return name
    st.warning(_("This link points to a sweep that no longer exists."), icon=":material/link_off:")
    return None


choice = state.Sweeps.SWEEP
state.from_url(choice, sweep_in_link)
form = st.expander(_("New sweep"), icon=":material/add:", expanded=not names, key="sweep_new")
with form, show_errors("sweep_form_error"):
    started = sweep_form.draw(workspace)
    if started:
        st.session_state[f"remembered.{choice.param}"] = started.name
        st.query_params[choice.param] = started.name
        st.rerun()
if not names:
    st.info(
        _(
            "There are no sweeps yet. A sweep runs the same training with several settings and shows which was best "
            "on the validation set."
        ),
        icon=":material/inbox:",
    )
    st.stop()
if st.session_state.get(choice.key) not in names:
    st.session_state[choice.key] = names[0]
sweep_name = st.selectbox(_("Sweep"), names, key=choice.key)
state.to_url(choice, sweep_name)
is_running = Sweep.open(sweep_name, workspace).read()["state"] == "running"


@st.fragment(run_every=3 if is_running else None)
def results() -> None:
    """Redraw while the sweep runs."""
    with show_errors("sweep_error"):
        sweep = Sweep.open(sweep_name, workspace)
        summary = sweep.summary()
        if is_running and summary["state"] != "running":
            st.rerun()
        sweep_results.draw(sweep, summary)


results()
