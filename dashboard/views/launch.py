"""Launch: a form made from the spec's own fields, checked as it is filled in; the same as YAML; start."""

from __future__ import annotations

import streamlit as st
import yaml

from dashboard import state
from dashboard.parts import launch_form
from dashboard.parts.text import cut, md
from workbench import jobs
from workbench.check import Problem, check, presets
from workbench.errors import SpecError
from workbench.spec import RunSpec
from workbench.workspace import Workspace

st.title("Launch")
workspace = Workspace.current()
ICONS = {"error": ":material/error:", "warning": ":material/warning:", "info": ":material/info:"}


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


def problems_of(document: dict[str, object]) -> tuple[RunSpec | None, list[Problem]]:
    """The spec, when it is one, and all its problems."""
    try:
        spec = RunSpec.parse(document, "The form")
    except SpecError as error:
        parts = [str(line).partition(": ") for line in error.problems] or [("", "", error.message)]
        return None, [Problem("error", field, message) for field, _, message in parts]
    return spec, check(spec, workspace, confined=True)


def show_problems(problems: list[Problem]) -> None:
    for problem in problems:
        text = f"**{md(problem.field)}**: {md(problem.message, 500)}"
        say = {"error": st.error, "warning": st.warning}.get(problem.severity, st.info)
        say(f"{text}\n\n{md(problem.hint, 500)}" if problem.hint else text, icon=ICONS[problem.severity])
    if not problems:
        st.success("Nothing is wrong with these settings.", icon=":material/check:")


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
    )
    document = launch_form.draw()
with side:
    st.subheader("Check", help="Made anew at each change, before anything is fetched or trained.", anchor=False)
    spec, problems = problems_of(document)
    show_problems(problems)
    blocked = spec is None or any(problem.severity == "error" for problem in problems)
    if st.button(
        "Start training", type="primary", icon=":material/rocket_launch:", disabled=blocked, key="launch_submit"
    ):
        run = jobs.submit(spec, workspace, confined=True)
        st.switch_page(state.RUNS_PAGE, query_params={state.RUN: run.id})
    st.caption("It goes on when you close the page. Runs that came before it are finished first.")
    with st.expander("The same on the command line", icon=":material/terminal:", key="launch_yaml"):
        st.code(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), language="yaml")
        st.markdown("Save this as `run.yaml`, then:")
        st.code("workbench run run.yaml", language="bash")
