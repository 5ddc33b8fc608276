"""The mistakes of one run, most confident first, with filters; a click explains one."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.compare import evidence, label_errors
from dashboard.parts.compare.cached_predictions import load_classified
from dashboard.parts.shared import url_widgets
from dashboard.parts.shared.text import cut
from dashboard.state import Linked
from workbench.compare.classified import ClassPredictions
from workbench.i18n import _
from workbench.metrics.label_order import sort_labels
from workbench.runs.run import Run

ALL = ""  # of a filter: every class
MAX_WORDS = 200  # characters


def draw(run: Run) -> None:
    """Draw the mistakes of a run.

    Args:
        run: a finished run.
    """
    predictions = load_classified(run)
    if predictions is None:
        st.caption(_("The answers of this task are neither right nor wrong."))
        return
    actual = predicted = ALL
    with st.container(horizontal=True, vertical_alignment="bottom", key="mistake_filters"):
        words = _words()
        if predictions.has_classes:
            actual = _class(_("Actual"), predictions.gold, state.RunPage.ACTUAL)
            predicted = _class(_("Predicted"), predictions.predicted, state.RunPage.PREDICTED)
    texts = [text.lower() for text in predictions.texts] if words else []

    def is_listed(index: int) -> bool:
        return (
            all(word in texts[index] for word in words)
            and actual in (ALL, predictions.gold[index])
            and predicted in (ALL, predictions.predicted[index])
        )

    examples = label_errors.mistakes(predictions, is_listed)
    if not examples.indices:
        st.caption(_no_mistakes(predictions))
        return
    st.caption(examples.caption)
    inputs = [predictions.inputs[index] for index in examples.indices]
    evidence.example_table(inputs, examples.columns, "run.mistakes", run, None)


def _no_mistakes(predictions: ClassPredictions) -> str:
    return _("The run makes no errors.") if all(predictions.correct) else _("No error matches the filters.")


def _words() -> list[str]:
    choice = state.RunPage.WORDS
    state.from_url(choice, lambda text: text[:MAX_WORDS])
    text = st.text_input(
        _("Search the texts"), key=choice.key, icon=":material/search:", max_chars=MAX_WORDS, width=280
    )
    state.to_url(choice, text or "")
    return (text or "").lower().split()


def _class(label: str, labels: list[str], choice: Linked) -> str:
    return url_widgets.select(
        label,
        [ALL, *sort_labels(labels)],
        choice,
        format_func=lambda name: cut(name, 60) if name != ALL else _("every class"),
        width=220,
    )
