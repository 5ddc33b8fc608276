"""What a model does as its training goes on: texts that it writes, labels that it takes for others."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.compare.confusion import matrix
from dashboard.parts.shared import curves
from dashboard.parts.shared.glossary import WORDS
from workbench.runs.run import Run

SHOWN = 3  # evaluations whose texts are shown at once
LATEST = ""  # the newest evaluation, whichever that is
LONGEST = 1500  # characters of one text


def draw_samples(run: Run) -> None:
    """The newest texts first, under the step after which they were written; nothing where there are none."""
    rows = run.samples()
    if not rows:
        return
    steps = list(dict.fromkeys(row.get("step") for row in reversed(rows)))
    st.subheader("What the model writes", help=WORDS["samples"], anchor=False)
    for place, step in enumerate(steps[:SHOWN]):
        with st.expander(f"After step {step}", expanded=place == 0, key=f"run.samples.{place}"):
            given, written = st.columns([1, 3])
            given.caption("Given")
            written.caption("Written")
            for row in rows:
                if row.get("step") == step:
                    _draw_sample(row)


def _draw_sample(row: dict[str, Any]) -> None:
    """What the model was given, and how it went on, side by side. Both are text: nothing in them is Markdown."""
    prompt, text = str(row.get("prompt") or ""), str(row["text"])
    given, written = st.columns([1, 3])
    given.text(prompt[:LONGEST] or "(nothing)")
    written.text(text.removeprefix(prompt).lstrip()[:LONGEST])


def draw_confusion(run: Run) -> None:
    """Which label was taken for which at the newest evaluation, or an earlier one; nothing where there are none."""
    by_step = {row["step"]: row for row in run.confusions()}
    if not by_step:
        return
    offered = [LATEST, *sorted(by_step, reverse=True)]
    state.from_url(state.Runs.EVALUATION, lambda given: int(given) if given.isdecimal() else None)
    if st.session_state.get(state.Runs.EVALUATION.key) not in offered:
        st.session_state[state.Runs.EVALUATION.key] = LATEST
    st.subheader("What is taken for what", help=WORDS["confusion"], anchor=False)
    step = st.selectbox(
        "After step",
        offered,
        format_func=lambda step: f"{max(by_step):,} (the latest)" if step == LATEST else f"{step:,}",
        key=state.Runs.EVALUATION.key,
        width=240,
    )
    state.to_url(state.Runs.EVALUATION, str(step))
    row = by_step[max(by_step) if step == LATEST else step]
    st.plotly_chart(matrix(row["labels"], row["counts"]), width="content", key="run.confusion", config=curves.CONFIG)
    st.caption("Validation examples. Rows are what is right, columns what the model says.")
