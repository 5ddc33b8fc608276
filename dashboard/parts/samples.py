"""Texts that a model writes as its training goes on."""

from __future__ import annotations

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
            for number, row in enumerate(row for row in rows if row.get("step") == step):
                prompt = str(row.get("prompt") or "")
                if prompt:
                    st.caption("Given" if number == 0 else "Given, again")
                    st.text(prompt[:LONGEST])
                st.caption("Written")
                st.text(str(row["text"])[:LONGEST])
