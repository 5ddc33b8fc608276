"""Sweeps: begin a search over settings, watch it, and take the best trial to Launch."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.shared import first_visit
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.sweeps import sweep_form, sweep_results
from workbench.jobs.sweeps import Sweep
from workbench.workspace import Workspace

st.title("Sweeps")
first_visit.explain(
    "sweeps",
    "**Sweeps** try a run many times with other settings, or with several seeds, and tell which did best. "
    "Each trial is an ordinary run.",
)
workspace = Workspace.current()
names = [sweep.name for sweep in Sweep.all(workspace)]


def sweep_in_link(given: str) -> str | None:
    if given in names:
        return given
    st.warning("The link names a sweep that is not there.", icon=":material/link_off:")
    return None


state.from_url(state.Sweeps.SWEEP, sweep_in_link)
with (
    st.expander("New sweep", icon=":material/add:", expanded=not names, key="sweep_new"),
    show_errors("sweep_form_error"),
):
    started = sweep_form.draw(workspace)
    if started:
        st.session_state[f"remembered.{state.Sweeps.SWEEP.param}"] = started.name
        st.query_params[state.Sweeps.SWEEP.param] = started.name
        st.rerun()
if not names:
    st.info(
        "There are no sweeps yet. A sweep runs the same training with several settings, and tells which was best on "
        "the validation part.",
        icon=":material/inbox:",
    )
    st.stop()
if st.session_state.get(state.Sweeps.SWEEP.key) not in names:
    st.session_state[state.Sweeps.SWEEP.key] = names[0]
chosen = st.selectbox("Sweep", names, key=state.Sweeps.SWEEP.key)
state.to_url(state.Sweeps.SWEEP, chosen)
going = Sweep.open(chosen, workspace).read()["state"] == "running"


@st.fragment(run_every=3 if going else None)
def results() -> None:
    """Drawn again by itself while the sweep goes on."""
    with show_errors("sweep_error"):
        sweep = Sweep.open(chosen, workspace)
        summary = sweep.summary()
        if going and summary["state"] != "running":
            st.rerun()
        sweep_results.draw(sweep, summary)


results()
