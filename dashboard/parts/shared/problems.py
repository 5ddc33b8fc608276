"""What is wrong with the settings of a form, shown while they are filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.parts.shared.text import md
from workbench.check import Problem, check
from workbench.check import problems_of as problems_of_error
from workbench.errors import SpecError
from workbench.i18n import _
from workbench.spec import RunSpec
from workbench.workspace import Workspace

ICONS = {"error": ":material/error:", "warning": ":material/warning:", "info": ":material/info:"}


def problems_of(document: Mapping[str, object], workspace: Workspace) -> tuple[RunSpec | None, list[Problem]]:
    """Return the spec, if the document is one, and all its problems.

    Args:
        document: what the form holds.
        workspace: where its files are.
    """
    try:
        spec = RunSpec.parse(dict(document), "The form")
    except SpecError as error:
        return None, problems_of_error(error)
    return spec, check(spec, workspace, confined=True)


def show_problems(problems: Sequence[Problem]) -> None:
    """Show every problem with what to do about it, or that there is none.

    Args:
        problems: worst first.
    """
    for problem in problems:
        text = f"**{md(problem.field)}**: {md(problem.message, 500)}"
        show = {"error": st.error, "warning": st.warning}.get(problem.severity, st.info)
        show(f"{text}\n\n{md(problem.hint, 500)}" if problem.hint else text, icon=ICONS[problem.severity])
    if not problems:
        st.success(_("No problems found."), icon=":material/check:")
