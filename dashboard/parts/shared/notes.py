"""Notes on data and results: warnings stand out, the others are quiet."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from dashboard.parts.shared.text import md
from workbench.notes import translate
from workbench.runs.report_notes import WarningNote

MAX_LENGTH = 600  # characters of a note


def draw(notes: Iterable[str]) -> None:
    """Draw notes, one below the other; empty ones are skipped.

    Args:
        notes: sentences; warnings are :class:`workbench.runs.report_notes.WarningNote`.
    """
    for note in notes:
        if isinstance(note, WarningNote):
            st.warning(md(translate(note), MAX_LENGTH), icon=":material/warning:")
        elif note:
            st.caption(md(translate(note), MAX_LENGTH))
