"""Launch: a form made from the spec's own fields, checked as it is filled in; the same as YAML; start."""

from __future__ import annotations

import streamlit as st
import yaml

from dashboard import state
from dashboard.parts import launch_form
from dashboard.parts.problems import problems_of, show_problems
from dashboard.parts.text import cut, md
from workbench import jobs
from workbench.check import presets
from workbench.workspace import Workspace

st.title("Launch")
workspace = Workspace.current()


def load_preset() -> None:
    """Fill the form from a preset, when one is chosen or the link names one."""
    name = st.session_state.get("launch_preset")
    state.to_url(state.PRESET, name or "")
    if name:
        launch_form.fill(presets()[name])


def preset_in_link(given: str) -> str | None:
    if given not in presets():
        st.warning(f"There is no preset {md(cut(given, 40))}.", icon=":material/link_off:")
        return None
    launch_form.fill(presets()[given])
    return given


state.from_url(state.PRESET, "launch_preset", preset_in_link)
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
    document = launch_form.draw()
with side:
    st.subheader("Check", help="Made anew at each change, before anything is fetched or trained.", anchor=False)
    spec, problems = problems_of(document, workspace)
    show_problems(problems)
    blocked = any(problem.severity == "error" for problem in problems)
    if (
        st.button(
            "Start training" if document.get("kind", "training") == "training" else "Start the test",
            type="primary",
            icon=":material/rocket_launch:",
            disabled=blocked,
            key="launch_submit",
        )
        and spec
    ):
        run = jobs.submit(spec, workspace, confined=True)
        st.switch_page(state.RUNS_PAGE, query_params={state.RUN: run.id})
    st.caption("It goes on when you close the page. Runs that came before it are finished first.")
    with st.expander("The same on the command line", icon=":material/terminal:", key="launch_yaml"):
        st.code(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), language="yaml")
        st.markdown("Save this as `run.yaml`, then:")
        st.code("workbench run run.yaml", language="bash")
