"""Use it: where the model is, and the commands that use it."""

from __future__ import annotations

import streamlit as st

from workbench.i18n import _
from workbench.runs.documents import RunSummary
from workbench.runs.run import Run


def draw(run: Run, summary: RunSummary) -> None:
    """Draw what can be done with the model.

    Args:
        run: a finished run.
        summary: its summary.
    """
    st.subheader(_("On this machine"), anchor=False)
    st.markdown(_("The folder of the model:"))
    st.code(str(run.model_folder), language=None)
