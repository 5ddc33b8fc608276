"""What a model does during training: texts that it generates, and which labels it confuses."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.compare.confusion import matrix
from dashboard.parts.shared import curves
from dashboard.parts.shared.glossary import help_for
from workbench.i18n import _
from workbench.runs.run import Run

MAX_STEPS = 3  # evaluations whose texts are shown at once
LATEST = ""  # the newest evaluation
MAX_LENGTH = 1500  # characters of one text


def draw_samples(run: Run) -> None:
    """Draw the newest generated texts first, grouped by step; nothing if there are none.

    Args:
        run: the run.
    """
    rows = run.samples()
    if not rows:
        return
    steps = list(dict.fromkeys(row.get("step") for row in reversed(rows)))
    st.subheader(_("Generated text"), help=help_for("samples"), anchor=False)
    for index, step in enumerate(steps[:MAX_STEPS]):
        heading = _("After step {n}").format(n=step)
        with st.expander(heading, expanded=index == 0, key=f"run.samples.{index}"):
            left, right = st.columns([1, 3])
            left.caption(_("Prompt"))
            right.caption(_("Continuation"))
            for row in rows:
                if row.get("step") == step:
                    _draw_sample(row)


def _draw_sample(row: dict[str, Any]) -> None:
    """Draw a prompt and its continuation side by side. Both are plain text: nothing in them is Markdown."""
    prompt, text = str(row.get("prompt") or ""), str(row["text"])
    left, right = st.columns([1, 3])
    left.text(prompt[:MAX_LENGTH] or _("(nothing)"))
    right.text(text.removeprefix(prompt).lstrip()[:MAX_LENGTH])


def draw_confusion(run: Run) -> None:
    """Draw the confusion matrix of the newest evaluation, or of an earlier one; nothing if there is none.

    Args:
        run: the run.
    """
    by_step = {row["step"]: row for row in run.confusions()}
    if not by_step:
        return
    latest = max(by_step)
    options = [LATEST, *sorted(by_step, reverse=True)]
    choice = state.Runs.EVALUATION
    state.from_url(choice, lambda text: int(text) if text.isdecimal() else None)
    if st.session_state.get(choice.key) not in options:
        st.session_state[choice.key] = LATEST
    st.subheader(_("Confusion matrix"), help=help_for("confusion"), anchor=False)
    step = st.selectbox(
        _("After step"),
        options,
        format_func=lambda step: _("{n} (latest)").format(n=f"{latest:,}") if step == LATEST else f"{step:,}",
        key=choice.key,
        width=240,
    )
    state.to_url(choice, str(step))
    row = by_step[latest if step == LATEST else step]
    st.plotly_chart(matrix(row["labels"], row["counts"]), width="content", key="run.confusion", config=curves.CONFIG)
    st.caption(_("Validation examples. Rows: actual label. Columns: predicted label."))
