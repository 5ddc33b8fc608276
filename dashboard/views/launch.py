"""Launch: a form made from the spec's own fields, checked as it is filled in; what the run will take; start."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts import first_visit, foresight, launch_form, spec_yaml
from dashboard.parts.errors import shown
from dashboard.parts.problems import problems_of, show_problems
from dashboard.parts.text import cut, md
from workbench import jobs
from workbench.check import presets
from workbench.runs.run import Run
from workbench.workspace import Workspace

st.title("Launch")
first_visit.explain(
    "launch",
    "**Launch** makes a run: choose what is to be learned, the data, a model and how it is tuned. What "
    "cannot work is told at the right before anything starts; *Estimate* takes a few real steps to tell "
    "time and memory. Runs go on when you close the page.",
)
workspace = Workspace.current()


def load_preset() -> None:
    """Fill the form from a preset, when one is chosen or the link names one."""
    name = st.session_state.get("launch_preset")
    state.to_url(state.PRESET, name or "")
    state.to_url(state.FROM, "")
    if name:
        launch_form.fill(presets()[name])


def preset_in_link(given: str) -> str | None:
    if given not in presets():
        st.warning(f"There is no preset {md(cut(given, 40))}.", icon=":material/link_off:")
        return None
    launch_form.fill(presets()[given])
    return given


def run_in_link(given: str) -> str | None:
    found = state.one_of([run.id for run in Run.all(workspace)])(given)
    if found is None:
        return None
    with shown("launch_from_error"):
        launch_form.fill(Run.open(found, workspace).spec().changed({"name": None, "notes": ""}))
        return found
    return None


state.from_url(state.PRESET, "launch_preset", preset_in_link)
state.from_url(state.FROM, "launch_from", run_in_link)
form, side = st.columns([3, 2], gap="large")
with form:
    st.selectbox(
        "Begin with",
        list(presets()),
        index=None,
        key="launch_preset",
        on_change=load_preset,
        placeholder="a preset, or the fields below",
        help="A preset fills the whole form.",
        persist_state="session",
    )
    if st.query_params.get(state.FROM) and st.session_state.get("launch_from"):
        st.caption(f"Begun from the run {md(st.session_state['launch_from'])}.")
    document = launch_form.draw()
with side:
    st.subheader("Check", help="Made anew at each change, before anything is fetched or trained.", anchor=False)
    spec, problems = problems_of(document, workspace)
    show_problems(problems)
    spec_yaml.tell_what_is_lost(document)
    blocked = spec is None or any(problem.severity == "error" for problem in problems)
    title = "Start training" if document.get("kind", "training") == "training" else "Start the test"
    icon = ":material/rocket_launch:"
    if st.button(title, type="primary", icon=icon, disabled=blocked, key="launch_submit") and spec:
        run = jobs.submit(spec, workspace, confined=True)
        st.switch_page(state.RUNS_PAGE, query_params={state.RUN: run.id})
    st.caption("It goes on when you close the page. Runs that came before it are finished first.")
    foresight.draw(None if blocked else spec, workspace)
    spec_yaml.draw(document)
    spec_yaml.show_command(document)
