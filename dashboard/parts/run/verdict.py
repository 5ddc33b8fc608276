"""Is it good? The score in a sentence with a picture, and a badge with why and what to do next."""

from __future__ import annotations

import base64
import html

import streamlit as st

from dashboard.parts.shared.run_states import Colour
from dashboard.parts.shared.text import md
from workbench.i18n import _
from workbench.runs.documents import Report
from workbench.runs.verdict.assessment import MIN_EXAMPLES, Assessment, Level, assess
from workbench.runs.verdict.score import comparison, picture, score_of, sentence

LOOKS: dict[Level, tuple[str, Colour]] = {
    "ready": (":material/verified:", "green"),
    "not yet": (":material/construction:", "orange"),
    "too little data": (":material/science:", "violet"),
}
INK = {"light": "#1B2730", "dark": "#E4EBF0"}  # of texts, as in the theme


def draw(report: Report, task: str | None) -> None:
    """Draw the verdict on a finished run; nothing if it has no score.

    Args:
        report: report of the run.
        task: name of its task.
    """
    score = score_of(report, task)
    if score is None:
        return
    assessment = assess(report)
    if assessment is not None:
        icon, colour = LOOKS[assessment.level]
        st.badge(assessment.title, icon=icon, color=colour, help=rule())
    st.header(md(sentence(score), 300), anchor=False)
    st.html(_as_image(picture(score, INK[st.context.theme.type or "light"]), f"{sentence(score)} {comparison(score)}"))
    if score.baselines:
        st.caption(md(comparison(score), 500))
    if assessment is not None:
        _draw_reasons(assessment)


def _as_image(svg: str, text: str) -> str:
    """Return an SVG as an image element: a page's HTML cannot hold SVG itself."""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img src="data:image/svg+xml;base64,{data}" alt="{html.escape(text, quote=True)}" style="max-width:100%">'


def _draw_reasons(assessment: Assessment) -> None:
    for finding in assessment.findings:
        st.markdown(f"{md(finding.reason, 400)} **{_('Next step:')}** {md(finding.advice, 400)}")
    if not assessment.findings:
        st.markdown(_("It is clearly better than the simple baselines. Try it on your own texts, then use it."))
    if assessment.remark:
        st.caption(md(assessment.remark, 300))


def rule() -> str:
    """Return the rule of the badge, for a tooltip."""
    return _(
        "Ready means: tested on at least {n} test examples, better than the simple baseline with the whole 95% "
        "interval, trained to the end, and no warnings about the data."
    ).format(n=MIN_EXAMPLES)
