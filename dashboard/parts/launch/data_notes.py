"""The warnings on an uploaded file, before a run trains on it, and what a click can resolve."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.parts.launch import launch_form
from dashboard.parts.shared import data_reports, notes, offers
from workbench.errors import WorkbenchError
from workbench.i18n import _
from workbench.runs.report_notes import WarningNote
from workbench.spec import RunSpec
from workbench.workspace import Workspace

MAX_BYTES = 20_000_000  # a larger file would delay the form; the page Data checks it


def draw(spec: RunSpec | None, workspace: Workspace) -> None:
    """Draw the warnings on the spec's own file, or the offer that makes it usable; nothing for other data.

    Args:
        spec: what the form holds; None if it is no spec.
        workspace: whose cache is used.
    """
    if spec is None or not _is_small_file(Path(spec.data.train)):
        return
    try:
        with st.spinner(_("Reading the data ...")):
            all_notes = data_reports.data_notes(spec, workspace)
    except WorkbenchError as error:
        offers.draw(error, launch_form.accept)  # what is wrong is among the problems
        return
    notes.draw(note for note in all_notes if isinstance(note, WarningNote))


def _is_small_file(path: Path) -> bool:
    return path.is_absolute() and path.is_file() and path.stat().st_size <= MAX_BYTES
