"""What is wrong with the settings in the form, told as they are filled in."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.shared.text import md
from workbench.check import Problem, check
from workbench.check import problems_of as found_in
from workbench.errors import SpecError
from workbench.spec import RunSpec
from workbench.workspace import Workspace

ICONS = {"error": ":material/error:", "warning": ":material/warning:", "info": ":material/info:"}


def problems_of(document: dict[str, object], workspace: Workspace) -> tuple[RunSpec | None, list[Problem]]:
    """The spec, when it is one, and all its problems."""
    try:
        spec = RunSpec.parse(document, "The form")
    except SpecError as error:
        return None, found_in(error)
    return spec, check(spec, workspace, confined=True)


def show_problems(problems: list[Problem]) -> None:
    """Every problem with what to do about it, worst first; or a word that there is none."""
    for problem in problems:
        text = f"**{md(problem.field)}**: {md(problem.message, 500)}"
        say = {"error": st.error, "warning": st.warning}.get(problem.severity, st.info)
        say(f"{text}\n\n{md(problem.hint, 500)}" if problem.hint else text, icon=ICONS[problem.severity])
    if not problems:
        st.success("Nothing is wrong with these settings.", icon=":material/check:")
