"""How much each token counts for a prediction: the method and its options, the picture, and its faithfulness."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st
from pydantic import BaseModel, ValidationError
from streamlit.delta_generator import DeltaGenerator

from dashboard import state
from dashboard.parts.explain import inputs
from dashboard.parts.explain.heads import NO_TEXTS
from dashboard.parts.shared import long_tasks, session_cache, side_by_side, spec_form
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.side_by_side import Side
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import cut, md
from workbench.explain import base as explaining
from workbench.explain import dataset_faithfulness, evaluation
from workbench.explain.checks import CHECKS
from workbench.explain.evaluation import FaithfulnessEvaluation
from workbench.explain.examples import reads_pairs
from workbench.explain.render import curves, figure, static
from workbench.i18n import _

OPTIONS_PREFIX = "explain.options"
EVALUATION_CALLS = 400  # approximate calls of the model by the four checks, for a quick method
DATASET_CALLS = 30  # and by the evaluation over many texts, for each of them
_CURVES_HEIGHT = 385  # pixels


@dataclasses.dataclass(frozen=True)
class Choice:
    """How a prediction is explained.

    Attributes:
        method: the explainer's name.
        options: the method's own, without those that have their default value.
        target: the label, answer or token that is explained; None for the prediction.
        position: the index of the word whose label is explained; None for the first one with a label.
    """

    method: str
    options: dict[str, Any]
    target: str | None
    position: int | None

    @property
    def key(self) -> str:
        """Identifies the choice."""
        return json.dumps([self.method, self.options, self.target, self.position], sort_keys=True, default=str)

    @property
    def slow(self) -> bool:
        """Whether the method starts only on request."""
        return bool(explaining.explainers.get(self.method).slow)

    def n_calls(self) -> int | None:
        """Return about how often the method calls the model for one text; None if it is unknown."""
        config = explaining.explainers.get(self.method).Config(**self.options)
        return next((int(getattr(config, name)) for name in ("samples", "texts") if hasattr(config, name)), None)


def _slow_calls(choice: Choice) -> int:
    """How often a slow method calls the model for one text."""
    return (choice.n_calls() or 1000) if choice.slow else 0


# -- the choice -----------------------------------------------------------------------------------------------------


def choose(side: Side) -> Choice:
    """Draw the choice of method, target and options; only what fits the model is offered.

    Args:
        side: what is explained.
    """
    methods = explaining.compatible_methods(side.predictor)
    choice = state.Explain.METHOD
    state.from_url(choice, state.known(methods))
    _reset(choice.key, methods, methods[0] if methods else None)
    explains_words = side.predictor.task.target_kind == "label of a word"
    columns = st.columns([2, 2, 2, 1] if explains_words else [2, 2, 1], vertical_alignment="bottom")
    method = columns[0].selectbox(_("Method"), methods, format_func=_method_name, key=choice.key)
    state.to_url(choice, method)
    position = _choose_position(side, columns[2]) if explains_words else None
    return Choice(method, _options(method, columns[-1]), _choose_target(side, columns[1]), position)


def _choose_target(side: Side, column: DeltaGenerator) -> str | None:
    """Return what is explained: one of the labels; of tasks without labels, an answer or a token, typed or chosen."""
    labels, is_span = list(side.predictor.labels), side.predictor.task.target_kind == "span"
    is_free = not labels or is_span
    title = _("Explained label")
    if is_free:
        title = _("Explained answer") if is_span else _("Explained token")
    options = list(side.target_spec().prediction["scores"]) if is_free else labels
    choice = state.Explain.TARGET
    state.from_url(choice, lambda text: text if is_free or text in labels else None)
    value = st.session_state.get(choice.key)
    if is_free and value is not None and value not in options:
        options = [*options, value]
    _reset(choice.key, [None, *options], None)
    target = column.selectbox(
        title,
        options,
        index=None,
        format_func=lambda label: cut(label, 60) or _("(empty)"),
        key=choice.key,
        placeholder=_("the prediction"),
        accept_new_options=is_free,
        help=_("What the scores below are about. Empty: the model's prediction."),
    )
    state.to_url(choice, target or "")
    return target


def _choose_position(side: Side, column: DeltaGenerator) -> int | None:
    """Return the index of the word whose label is explained."""
    words = _words(side)
    indices = range(len(words))
    choice = state.Explain.POSITION
    state.from_url(choice, lambda text: next((i for i in indices if str(i) == text), None))
    _reset(choice.key, [None, *indices], None)
    position = column.selectbox(
        _("Word"),
        list(indices),
        index=None,
        format_func=lambda i: f"{i} {cut(words[i], 40)}",
        key=choice.key,
        placeholder=_("the first with a label"),
    )
    state.to_url(choice, "" if position is None else str(position))
    return position


def _words(side: Side) -> list[str]:
    """Return the words of the text, in order."""
    encoded = side.instance().encoded
    spans: dict[tuple[int, int | None], tuple[int, int]] = {}
    for segment, word, (start, end) in zip(encoded.segments, encoded.words, encoded.offsets, strict=True):
        if segment is not None:
            first = spans.get((segment, word), (start, end))[0]
            spans[segment, word] = (first, end)
    texts = (side.text, side.pair or "")
    return [texts[segment][start:end] for (segment, word), (start, end) in spans.items()]


def _reset(key: str, allowed: Sequence[object], default: object) -> None:
    """Drop a value that another run offered and this one does not."""
    if st.session_state.get(key) not in allowed:
        st.session_state[key] = default


def _method_name(name: str) -> str:
    label = _(explaining.explainers.label(name)).split(":")[0]
    return _("{method} (slow)").format(method=label) if explaining.explainers.get(name).slow else label


def _options(method: str, column: DeltaGenerator) -> dict[str, object]:
    """Return the method's own options; the URL may set some."""
    config, prefix = explaining.explainers.get(method).Config, f"{OPTIONS_PREFIX}.{method}"

    def read(text: str) -> None:
        for name, value in _valid_options(config, text).items():
            st.session_state[f"{prefix}.{name}"] = value

    choice = state.Explain.OPTIONS._replace(key=f"{prefix}.")
    state.from_url(choice, read)
    if not config.model_fields:
        state.to_url(choice, "")
        return {}
    with column.popover(_("Options"), icon=":material/tune:", key="explain.options_of_method"):
        options = spec_form.draw(config, prefix)
    state.to_url(choice, json.dumps(options, sort_keys=True) if options else "")
    return options


def _valid_options(config: type[BaseModel], text: str) -> dict[str, object]:
    """Return the options in a URL, if they are options of this method."""
    document = state.mapping(text) or {}
    try:
        config.model_validate(document)
    except ValidationError:
        return {}
    return document


# -- the picture ----------------------------------------------------------------------------------------------------


def show_tokens(sides: list[Side], choice: Choice) -> None:
    """Show how much each token counts, for one side or two.

    Args:
        sides: one or two.
        choice: how they are explained.
    """
    explanations = explained(sides, choice)
    if explanations is None:
        return
    for column, side, explanation in zip(st.columns(len(sides), gap="large"), sides, explanations, strict=True):
        with column:
            side_by_side.show_name(sides, side)
            st.html(static.token_heat_html(explanation))
    if len(explanations) == 2:
        _show_changes(*explanations)


def explained(sides: list[Side], choice: Choice) -> list[explaining.Explanation] | None:
    """Return the explanations; None while a slow method was not started.

    Args:
        sides: one or two.
        choice: how they are explained.
    """
    keys = [("explanation", side.key, choice.key) for side in sides]
    if choice.slow and any(session_cache.get(*key) is None for key in keys):
        calls = choice.n_calls()
        seconds = None if calls is None else calls * sides[0].seconds * len(sides)
        text = _("{method} calls the model many times, so it starts on request.")
        st.caption(text.format(method=_method_name(choice.method)))
        if not long_tasks.start_button(_("Explain"), "explain.start", seconds):
            return None
    with st.spinner(_("Explaining ...")):
        return [
            session_cache.get_or_compute(partial(_explain, side, choice), *key)
            for side, key in zip(sides, keys, strict=True)
        ]


def _explain(side: Side, choice: Choice) -> explaining.Explanation:
    explanation = explaining.explain(
        side.predictor, side.text, choice.method, side.pair, choice.target, choice.position, **choice.options
    )
    return dataclasses.replace(explanation, attention=None)  # tens of megabytes for a long text, and not drawn here


def _show_changes(first: explaining.Explanation, second: explaining.Explanation) -> None:
    """Draw the tokens that count for more or less on the second side."""
    if first.tokens != second.tokens:
        return
    rows = sorted(zip(first.shown, first.scores, second.scores, strict=True), key=lambda row: -abs(row[2] - row[1]))
    column = st.column_config
    with st.expander(_("Largest changes, token by token"), key="explain.changes"):
        draw_table(
            {
                "token": [cut(token, 60) for token, before, after in rows],
                "first": [before for token, before, after in rows],
                "second": [after for token, before, after in rows],
                "change": [after - before for token, before, after in rows],
            },
            column_config={
                "token": column.TextColumn(_("Token")),
                "first": column.NumberColumn(_("First"), format="%+.4f"),
                "second": column.NumberColumn(_("Second"), format="%+.4f"),
                "change": column.NumberColumn(_("Change"), format="%+.4f"),
            },
            hide_index=True,
            key="explain.changes.table",
        )
        st.caption(_("Scores of two models have different scales: compare their order first."))


# -- faithfulness ---------------------------------------------------------------------------------------------------


def show_faithfulness(sides: list[Side], choice: Choice) -> None:
    """Evaluate this explanation, and the method over the run's data, when the user asks for it.

    Args:
        sides: one or two.
        choice: how they are explained.
    """
    st.caption(help_for("faithfulness evaluation"))
    keys = [("faithfulness", side.key, choice.key) for side in sides]
    if any(session_cache.get(*key) is None for key in keys):
        seconds = (EVALUATION_CALLS + 8 * _slow_calls(choice)) * sum(side.seconds for side in sides)
        if long_tasks.start_button(_("Evaluate this explanation"), "explain.evaluate", seconds):
            for side, key in zip(sides, keys, strict=True):
                session_cache.put(_evaluate(side, choice), *key)
            st.rerun()  # the button disappears
    else:
        for column, side, key in zip(st.columns(len(sides), gap="large"), sides, keys, strict=True):
            with column:
                side_by_side.show_name(sides, side)
                _draw_evaluation(session_cache.get(*key), alone=len(sides) == 1)
    st.subheader(_("Over many texts"), help=help_for("faithfulness"), anchor=False)
    _over_dataset(sides[0], choice)


def _draw_evaluation(result: FaithfulnessEvaluation, alone: bool) -> None:
    """Draw the result in words, then the curves."""
    st.info(md(result.sentences[0], 600), icon=":material/balance:")
    for sentence in result.sentences[1:]:
        st.caption(md(sentence, 600))
    charts = curves.faithfulness_curves(result.curves, result.target)
    page = figure.page(charts, theme=st.context.theme.type or "auto", title=_("Faithfulness"))
    st.iframe(page, height=_CURVES_HEIGHT * (1 if alone else 2))  # below each other in half the width


def _evaluate(side: Side, choice: Choice) -> FaithfulnessEvaluation:
    """All checks, one after the other."""
    progress = long_tasks.progress_bar(_("Evaluating"))
    total: FaithfulnessEvaluation | None = None
    for index, check in enumerate(CHECKS):
        result = evaluation.evaluate_faithfulness(
            side.predictor,
            side.text,
            choice.method,
            side.pair,
            choice.target,
            choice.position,
            checks=[check],
            options=choice.options,
        )
        total = result if total is None else _merged(total, result, check)
        progress(index + 1, len(CHECKS))
    assert total is not None
    return total


def _merged(total: FaithfulnessEvaluation, result: FaithfulnessEvaluation, check: str) -> FaithfulnessEvaluation:
    sentences = [*total.sentences, *result.sentences]
    return dataclasses.replace(total, **{check: getattr(result, check)}, sentences=sentences)


def _over_dataset(side: Side, choice: Choice) -> None:
    """How faithful the method is over texts of the run's data; stored with the run, so that Compare shows it too."""
    results = dataset_faithfulness.read_dataset_faithfulness(side.run.folder).values()
    for result in sorted(results, key=lambda result: result.method != choice.method):
        st.info(md(result.describe(), 600), icon=":material/balance:")
    if not side.is_run:
        return
    pairs = reads_pairs(side.predictor.task)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        most = st.select_slider(_("Texts"), [20, 50, 100, 200, 500], value=50, key="explain.over", width=260)
        texts = inputs.example_texts(side.run, pairs, most)
        seconds = (DATASET_CALLS + _slow_calls(choice)) * len(texts) * side.seconds
        label = _("Evaluate {method} over {n} texts").format(method=_method_name(choice.method), n=len(texts))
        started = bool(texts) and long_tasks.start_button(label, "explain.evaluate_dataset", seconds)
    if not texts:
        st.caption(_(NO_TEXTS))
    if started:
        progress = long_tasks.progress_bar(_("Evaluating"))
        new = dataset_faithfulness.evaluate_dataset_faithfulness(
            side.predictor, texts, choice.method, progress=progress, options=choice.options
        )
        new.save(side.run.folder)
        st.rerun()
