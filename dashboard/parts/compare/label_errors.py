"""Compare's doubtful labels: what the first run is sure of against the data, and the labels that are probably wrong."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.compare import evidence
from dashboard.parts.compare.cached_predictions import load_classified
from dashboard.parts.shared import url_widgets
from dashboard.parts.shared.text import cut
from workbench.compare.classified import ClassPredictions
from workbench.compare.label_errors import find_label_issues
from workbench.runs.run import Run

MOST_ROWS = 100
MISTAKES, LABELS = "most confident mistakes", "likely label errors"


def draw(first: Run, second: Run) -> None:
    """One of two lists; a click on an example opens its explanation in both runs."""
    run = load_classified(first)
    if run is None or run.scores is None:
        st.caption("The first run keeps no probabilities of its labels.")
        return
    which = url_widgets.select(
        "List", [MISTAKES, LABELS] if run.probabilities is not None else [MISTAKES], state.Compare.LABEL_ERRORS,
        buttons=True, label_visibility="collapsed",
    )  # fmt: skip
    places, columns, words = _mistakes(run) if which == MISTAKES else _suspicions(run)
    if not places:
        st.caption("There is none.")
        return
    evidence.example_table([run.inputs[place] for place in places], columns, "compare.doubtful", first, second)
    st.caption(words)


def _mistakes(run: ClassPredictions) -> tuple[list[int], dict[str, list[Any]], str]:
    scores = run.scores or []
    wrong = sorted((i for i in range(len(run)) if not run.correct[i]), key=lambda i: -scores[i])[:MOST_ROWS]
    columns = {
        "Right": [cut(run.gold[i], 60) for i in wrong],
        "First": [cut(run.predicted[i], 60) for i in wrong],
        "Probability": [scores[i] for i in wrong],
    }
    return wrong, columns, "Wrong answers of the first run, those it is surest of on top."


def _suspicions(run: ClassPredictions) -> tuple[list[int], dict[str, list[Any]], str]:
    found = find_label_issues(run.probabilities, run.gold, run.labels) if run.probabilities is not None else []
    shown = found[:MOST_ROWS]
    columns = {
        "In the data": [cut(one.label, 60) for one in shown],
        "It may be": [cut(one.suggested, 60) for one in shown],
        "Surer by": [one.margin for one in shown],
    }
    words = (
        f"{len(found):,} of {len(run):,} test labels are suspicious by confident learning (Northcutt 2021). This says "
        "where to look first. It cannot say whether the label or the model is wrong, and finds no mistake that the "
        "model has learned."
    )
    return [one.index for one in shown], columns, words
