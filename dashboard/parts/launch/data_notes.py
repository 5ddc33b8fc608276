"""The notes on the data before a run trains on it, and what a click can resolve: the file, or the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from dashboard.parts.launch import launch_form
from dashboard.parts.shared import notes
from dashboard.parts.shared.data import offers, reports
from workbench.check import Problem, make_task
from workbench.check.language import AutoChoice, choose_model, data_languages
from workbench.errors import WorkbenchError
from workbench.i18n import _
from workbench.spec import RunSpec
from workbench.workspace import Workspace

MAX_BYTES = 20_000_000  # a larger file would delay the form; the page Data checks it


def draw(spec: RunSpec | None, problems: Sequence[Problem], workspace: Workspace) -> None:
    """Draw a model that knows the language of the texts, and the notes on the spec's own file or its repair.

    Args:
        spec: what the form holds; None if it is no spec.
        problems: of the spec.
        workspace: whose cache is used.
    """
    if spec is None:
        return
    if any(problem.field == "model" and problem.severity == "warning" for problem in problems):
        _offer_model(spec, workspace)
    if not _is_small_file(Path(spec.data.train)):
        return
    try:
        all_notes = reports.data_notes(spec, workspace)
    except WorkbenchError as error:
        offers.draw(error, launch_form.accept)  # what is wrong is among the problems
        return
    notes.draw(all_notes)


def _offer_model(spec: RunSpec, workspace: Workspace) -> None:
    """Draw a button that chooses the model that ``auto`` would choose, if it is another one."""
    try:
        task = make_task(spec)
    except WorkbenchError:
        return  # among the problems
    languages = data_languages(spec.data, task, workspace, confined=True)
    choice = choose_model(task, languages) if languages is not None else None
    if isinstance(choice, AutoChoice) and choice.source != spec.model.source:
        st.button(
            _("Use {model}").format(model=choice.source),
            key="offer_model",
            icon=":material/translate:",
            on_click=launch_form.use_model,
            args=(choice.source,),
        )


def _is_small_file(path: Path) -> bool:
    return path.is_absolute() and path.is_file() and path.stat().st_size <= MAX_BYTES
