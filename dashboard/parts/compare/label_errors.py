"""Errors that a run makes with confidence, and labels of the data that are probably wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import streamlit as st

from dashboard import state
from dashboard.parts.compare import evidence
from dashboard.parts.compare.cached_predictions import load_classified
from dashboard.parts.compare.evidence import Column
from dashboard.parts.shared import url_widgets
from dashboard.parts.shared.text import cut
from workbench.compare.classified import ClassPredictions
from workbench.compare.label_errors import find_label_issues
from workbench.i18n import N_, _, ngettext
from workbench.runs.run import Run

MAX_ROWS = 100
MISTAKES, LABELS = "mistakes", "label-errors"
LISTS = {MISTAKES: N_("most confident errors"), LABELS: N_("likely label errors")}


class Examples(NamedTuple):
    """Rows of the predictions, what is shown beside them, and a caption."""

    indices: list[int]
    columns: list[Column]
    caption: str


def draw_labels(first: Run, second: Run | None = None) -> None:
    """Draw the labels that are probably wrong; a click on an example opens its explanation.

    Args:
        first: a finished run.
        second: another; None for one run.
    """
    run = load_classified(first)
    if run is None or run.probabilities is None:
        st.caption(_("No label probabilities are stored."))
        return
    _draw_examples(_label_issues(run), run, first, second)


def draw(first: Run, second: Run | None) -> None:
    """Draw one of two lists; a click on an example opens its explanation in both runs.

    Args:
        first: a finished run.
        second: another.
    """
    run = load_classified(first)
    if run is None or run.scores is None:
        st.caption(_("No label probabilities are stored."))
        return
    which = url_widgets.segments(
        _("List"),
        [MISTAKES, LABELS] if run.probabilities is not None else [MISTAKES],
        state.Compare.LABEL_ERRORS,
        format_func=lambda name: _(LISTS[name]),
        label_visibility="collapsed",
    )
    examples = mistakes(run) if which == MISTAKES else _label_issues(run)
    _draw_examples(examples, run, first, second)


def _draw_examples(examples: Examples, run: ClassPredictions, first: Run, second: Run | None) -> None:
    if not examples.indices:
        st.caption(_("There are none."))
        return
    inputs = [run.inputs[index] for index in examples.indices]
    evidence.example_table(inputs, examples.columns, "compare.doubtful", first, second)
    st.caption(examples.caption)


def mistakes(run: ClassPredictions, allowed: Callable[[int], bool] = lambda index: True) -> Examples:
    """Return the errors of a run, most confident first.

    Args:
        run: its predictions.
        allowed: whether the example with an index is listed.
    """
    scores = run.scores or [0.0] * len(run)
    wrong = sorted((i for i in range(len(run)) if not run.correct[i] and allowed(i)), key=lambda i: -scores[i])
    shown = wrong[:MAX_ROWS]
    columns = [
        Column("gold", _("Actual"), [cut(run.gold[i], 60) for i in shown]),
        Column("predicted", _("Predicted"), [cut(run.predicted[i], 60) for i in shown]),
    ]
    if run.scores is not None:
        columns.append(Column("score", _("Confidence"), [scores[i] for i in shown]))
    text = ngettext("{n} error, most confident first.", "{n} errors, most confident first.", len(wrong))
    return Examples(shown, columns, text.format(n=f"{len(wrong):,}"))


def _label_issues(run: ClassPredictions) -> Examples:
    issues = find_label_issues(run.probabilities, run.gold, run.labels) if run.probabilities is not None else []
    shown = issues[:MAX_ROWS]
    columns = [
        Column("label", _("Label in the data"), [cut(issue.label, 60) for issue in shown]),
        Column("suggested", _("Suggested label"), [cut(issue.suggested, 60) for issue in shown]),
        Column("margin", _("Margin"), [issue.margin for issue in shown]),
    ]
    caption = ngettext(
        "{n} of {total} test labels is suspicious by confident learning (Northcutt 2021).",
        "{n} of {total} test labels are suspicious by confident learning (Northcutt 2021).",
        len(issues),
    ).format(n=f"{len(issues):,}", total=f"{len(run):,}")
    caption += " " + _(
        "This shows where to look first. It cannot say whether the label or the model is wrong, and misses label "
        "errors that the model has learned."
    )
    return Examples([issue.index for issue in shown], columns, caption)
