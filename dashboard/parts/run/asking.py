"""Try it and Why: the model of a run on your own text, and what its answer depends on."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.explain import inputs as explain_inputs
from dashboard.parts.explain import tokens
from dashboard.parts.playground import answers
from dashboard.parts.playground import inputs as playground_inputs
from dashboard.parts.shared import side_by_side
from workbench.i18n import _
from workbench.runs.documents import RunSummary
from workbench.runs.run import Run


def try_it(run: Run, summary: RunSummary) -> None:
    """Draw the Playground's form and the answer.

    Args:
        run: a finished run.
        summary: its summary.
    """
    task = side_by_side.load(run).task
    form, results = st.columns([2, 3], gap="large")
    with form:
        values, options = playground_inputs.ask(run, task)
    with results:
        if not values and not playground_inputs.may_be_empty(task):
            st.info(_("Type a text, or choose an example, then press Run."), icon=":material/edit:")
            return
        answers.show([run], values, options)
        named = summary.model_copy(update={"task": run.status().task})
        answers.show_links([run], values, options, task, [named])


def explain(run: Run, summary: RunSummary) -> None:
    """Draw which words mattered for the answer to a text, and the link to everything else on Explain.

    Args:
        run: a finished run.
        summary: its summary.
    """
    predictor = side_by_side.load(run)
    left, right = st.columns([3, 2], gap="large")
    with left:
        text = explain_inputs.text_field()
        texts = explain_inputs.all_texts(predictor, text)
        explain_inputs.choose_example(run, pairs=len(texts) > 1)
    sides = [side_by_side.Side(_("this run"), run, predictor, texts, run.id)]
    if not text.strip():
        right.info(_("Type a sentence, or choose an example."), icon=":material/edit:")
        return
    with right:
        explain_inputs.show_predictions(sides)
        query = {state.RUN.param: summary.id, state.Explain.TEXT.param: text[: state.MAX_TEXT]}
        st.page_link(
            state.EXPLAIN_PAGE,
            label=_("All explanations of this text"),
            icon=":material/search_insights:",
            query_params=query,
        )
    tokens.show_tokens(sides, tokens.choose(sides[0]))
