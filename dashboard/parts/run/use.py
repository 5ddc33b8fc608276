"""Use it: where the model is, and how to use it on the command line, in Python and with transformers."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.shared.text import gigabytes, md
from workbench.i18n import _
from workbench.inference.model_card import FILE_NAME
from workbench.runs.documents import RunSummary
from workbench.runs.run import Run
from workbench.system.opening import read_limited


def draw(run: Run, summary: RunSummary) -> None:
    """Draw what can be done with the model.

    Args:
        run: a finished run.
        summary: its summary.
    """
    if not run.model_folder.is_dir():
        st.caption(md(run.why_no_model()[0]))
        return
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader(_("The model"), anchor=False)
        size = gigabytes(sum(path.stat().st_size for path in run.model_folder.iterdir() if path.is_file()))
        st.caption(_("A folder with weights, tokenizer, label names and model card ({size}).").format(size=size))
        st.code(str(run.model_folder), language=None, wrap_lines=True)
        st.caption(_("One folder for transformers, without the workbench; an adapter is merged into its base:"))
        st.code(f"workbench merge {summary.id} --out my-model", language="bash", wrap_lines=True)
    with right:
        st.subheader(_("Answers for a file"), anchor=False)
        st.caption(_("Reads any file that training reads, and writes each row with its answer:"))
        st.code(f"workbench predict {summary.id} --file texts.csv --out answers.csv", language="bash", wrap_lines=True)
        st.subheader(_("In Python"), anchor=False)
        st.code(_python(summary.id), language="python", wrap_lines=True)
    _draw_card(run)


def _python(run_id: str) -> str:
    return f'import workbench as wb\n\nrun = wb.Run.open("{run_id}")\nprint(run.predict("..."))'


def _draw_card(run: Run) -> None:
    path = run.model_folder / FILE_NAME
    with st.expander(_("Model card"), icon=":material/description:", key="run.card", on_change="rerun") as unfolded:
        if unfolded.open:
            try:
                text = read_limited(path).decode("utf-8", errors="replace")
            except OSError:
                text = ""
            st.code(text or _("The model has no card."), language="markdown", height=420, wrap_lines=True)
