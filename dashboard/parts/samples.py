"""Texts that a model writes as its training goes on."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.parts.glossary import WORDS
from workbench.runs.run import Run

MOST = 60  # samples that are read back, and
SHOWN = 3  # of the last evaluations, shown at once
LONGEST = 1500  # characters of one text


def draw_samples(run: Run) -> None:
    """The newest texts first, under the step after which they were written; nothing where there are none."""
    rows = run.samples()[-MOST:]
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
