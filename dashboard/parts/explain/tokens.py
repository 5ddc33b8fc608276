"""What each token counts for a decision: the method with its options, the picture, and how far to believe it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.explain import inputs
from dashboard.parts.shared import long_tasks, side_by_side, spec_form
from dashboard.parts.shared.glossary import WORDS
from dashboard.parts.shared.side_by_side import Side
from dashboard.parts.shared.text import cut, md
from workbench.explain import base as explaining
from workbench.explain import dataset_faithfulness, evaluation
from workbench.explain.evaluation import FaithfulnessEvaluation
from workbench.explain.examples import reads_pairs
from workbench.explain.render import curves, figure, static

OPTIONS_PREFIX = "explain.options"
CHECKS = {
    "curves": "hiding tokens one after the other",
    "agreement": "asking other methods",
    "stability": "changing what means nothing",
    "sanity": "shuffling the weights",
}
EVALUATION_CALLS = 400  # about how often the four checks ask the model, for a quick method
DATASET_CALLS = 30  # and the evaluation over many texts, for each of them
_CURVES_HEIGHT = 385  # pixels


@dataclasses.dataclass(frozen=True)
class Choice:
    """How it is explained.

    Args:
        method: the explainer's name.
        options: the method's own, without those that have their default value.
        target: the label, answer or token that is explained; None for what the model says.
        place: the number of the word whose label is explained; None for the first that tells something.
    """

    method: str
    options: dict[str, Any]
    target: str | None
    place: int | None

    @property
    def key(self) -> str:
        return json.dumps([self.method, self.options, self.target, self.place], sort_keys=True, default=str)

    @property
    def slow(self) -> bool:
        return bool(explaining.explainers.get(self.method).slow)

    def asks(self) -> int | None:
        """About how often the method asks the model for one text; None where that is not known."""
        config = explaining.explainers.get(self.method).Config(**self.options)
        return next((int(getattr(config, name)) for name in ("samples", "texts") if hasattr(config, name)), None)


def _slow_asks(choice: Choice) -> int:
    """How often a slow method asks the model for one text."""
    return (choice.asks() or 1000) if choice.slow else 0


# -- the choice -----------------------------------------------------------------------------------------------------


def choose(side: Side) -> Choice:
    """Method, target and options; only what fits the model is offered."""
    usable = explaining.compatible_methods(side.predictor)
    state.from_url(state.Explain.METHOD, lambda given: given if given in usable else None)
    _reset(state.Explain.METHOD.key, usable, usable[0] if usable else None)
    columns = st.columns([2, 2, 2, 1] if _at_words(side) else [2, 2, 1], vertical_alignment="bottom")
    method = columns[0].selectbox("Method", usable, format_func=_method_name, key=state.Explain.METHOD.key)
    state.to_url(state.Explain.METHOD, method)
    place = _choose_place(side, columns[2]) if _at_words(side) else None
    return Choice(method, _options(method, columns[-1]), _choose_target(side, columns[1]), place)


def _at_words(side: Side) -> bool:
    return side.predictor.task.target_kind == "label of a word"


def _choose_target(side: Side, column: Any) -> str | None:
    """What is explained: one of the labels; for tasks without labels an answer or a token, typed or chosen."""
    labels, span = list(side.predictor.labels), side.predictor.task.target_kind == "span"
    free = not labels or span
    words = "Explained label" if not free else "Explained answer" if span else "Explained token"
    offered = list(side.target_spec().prediction["scores"]) if free else labels
    state.from_url(state.Explain.TARGET, lambda given: given if free or given in labels else None)
    now = st.session_state.get(state.Explain.TARGET.key)
    if free and now is not None and now not in offered:
        offered = [*offered, now]
    _reset(state.Explain.TARGET.key, [None, *offered], None)
    target = column.selectbox(
        words,
        offered,
        index=None,
        format_func=lambda label: cut(label, 60) or "(empty)",
        key=state.Explain.TARGET.key,
        placeholder="what the model says",
        accept_new_options=free,
        help="What the numbers below are about. Left empty: what the model itself says.",
    )
    state.to_url(state.Explain.TARGET, target or "")
    return target


def _choose_place(side: Side, column: Any) -> int | None:
    """The word whose label is explained."""
    names = _words(side)
    numbers = range(len(names))
    state.from_url(state.Explain.POSITION, lambda given: next((i for i in numbers if str(i) == given), None))
    _reset(state.Explain.POSITION.key, [None, *numbers], None)
    place = column.selectbox(
        "Of the word",
        list(numbers),
        index=None,
        format_func=lambda i: f"{i} {cut(names[i], 40)}",
        key=state.Explain.POSITION.key,
        placeholder="the first with a label",
    )
    state.to_url(state.Explain.POSITION, "" if place is None else str(place))
    return place


def _words(side: Side) -> list[str]:
    """The words of the text, in order."""
    encoded = side.instance().encoded
    ends: dict[Any, tuple[int, int]] = {}
    for segment, word, (start, end) in zip(encoded.segments, encoded.words, encoded.offsets, strict=True):
        if segment is not None:
            ends[segment, word] = (ends.get((segment, word), (start, end))[0], end)
    texts = (side.text, side.pair or "")
    return [texts[segment][start:end] for (segment, _), (start, end) in ends.items()]


def _reset(key: str, allowed: list[Any], default: Any) -> None:
    """Another run may not have what was chosen for the last one."""
    if st.session_state.get(key) not in allowed:
        st.session_state[key] = default


def _method_name(name: str) -> str:
    label = explaining.explainers.label(name).split(":")[0]
    return f"{label} (slow)" if explaining.explainers.get(name).slow else label


def _options(method: str, place: Any) -> dict[str, Any]:
    """The method's own options, out of the URL where it names some."""
    config, prefix = explaining.explainers.get(method).Config, f"{OPTIONS_PREFIX}.{method}"

    def read(given: str) -> None:
        for name, value in _checked(config, given).items():
            st.session_state[f"{prefix}.{name}"] = value

    state.from_url(state.Explain.OPTIONS._replace(key=f"{prefix}."), read)
    if not config.model_fields:
        state.to_url(state.Explain.OPTIONS, "")
        return {}
    with place.popover("Options", icon=":material/tune:", key="explain.options_of_method"):
        found = spec_form.draw(config, prefix)
    state.to_url(state.Explain.OPTIONS, json.dumps(found, sort_keys=True) if found else "")
    return found


def _checked(config: Any, given: str) -> dict[str, Any]:
    """Options out of a URL, when they are options of this method."""
    try:
        found = json.loads(given)
        return {name: value for name, value in found.items() if config(**found)}
    except (ValueError, TypeError, AttributeError):
        return {}


# -- the picture ----------------------------------------------------------------------------------------------------


def show_tokens(both: list[Side], choice: Choice) -> None:
    """What each token counts, of one side or of two beside each other."""
    found = explained(both, choice)
    if found is None:
        return
    for column, side, one in zip(st.columns(len(both), gap="large"), both, found, strict=True):
        with column:
            if len(both) > 1:
                st.markdown(f"**{md(side.name, 80)}**")
            st.html(static.token_heat_html(one))
    if len(found) == 2:
        _show_changes(found, both)


def explained(both: list[Side], choice: Choice) -> list[explaining.Explanation] | None:
    """The explanations; None while a slow method was not started."""
    keys = [("explanation", side.key, choice.key) for side in both]
    if choice.slow and any(side_by_side.kept(*key) is None for key in keys):
        asks = choice.asks()
        seconds = None if asks is None else asks * both[0].seconds * len(both)
        st.caption(f"{_method_name(choice.method)} asks the model many times, so it starts when you say so.")
        if not long_tasks.start_button("Explain", "explain.start", seconds):
            return None
    with st.spinner("Explaining ..."):
        return [
            side_by_side.computed(lambda side=side: _explain(side, choice), *key)
            for side, key in zip(both, keys, strict=True)
        ]


def _explain(side: Side, choice: Choice) -> explaining.Explanation:
    found = explaining.explain(
        side.predictor, side.text, choice.method, side.pair, choice.target, choice.place, **choice.options
    )
    return dataclasses.replace(found, attention=None)  # tens of megabytes for a long text, and not drawn here


def _show_changes(found: list[explaining.Explanation], both: list[Side]) -> None:
    """The tokens that count for more or less on the second side."""
    first, second = found
    if first.tokens != second.tokens:
        return
    rows = sorted(zip(first.shown, first.scores, second.scores, strict=True), key=lambda row: -abs(row[2] - row[1]))
    with st.expander("What changed most, token by token", key="explain.changes"):
        st.dataframe(
            {
                "Token": [cut(token, 60) for token, _, _ in rows],
                "First": [one for _, one, _ in rows],
                "Second": [other for _, _, other in rows],
                "Change": [other - one for _, one, other in rows],
            },
            column_config={
                name: st.column_config.NumberColumn(format="%+.4f") for name in ("First", "Second", "Change")
            },
            hide_index=True,
            key="explain.changes.table",
        )
        st.caption("Scores of two models have different scales: compare the order first.")


# -- how far to believe it ------------------------------------------------------------------------------------------


def show_faithfulness(both: list[Side], choice: Choice) -> None:
    """Evaluate this explanation, and the method over the run's data, when the user asks for it."""
    st.caption(WORDS["faithfulness evaluation"])
    keys = [("faithfulness", side.key, choice.key) for side in both]
    if any(side_by_side.kept(*key) is None for key in keys):
        seconds = (EVALUATION_CALLS + 8 * _slow_asks(choice)) * sum(side.seconds for side in both)
        if long_tasks.start_button("Evaluate this explanation", "explain.evaluate", seconds):
            for side, key in zip(both, keys, strict=True):
                side_by_side.keep(_evaluate(side, choice), *key)
            st.rerun()  # the button goes
    else:
        for column, side, key in zip(st.columns(len(both), gap="large"), both, keys, strict=True):
            with column:
                if len(both) > 1:
                    st.markdown(f"**{md(side.name, 80)}**")
                _draw_evaluation(side_by_side.kept(*key), alone=len(both) == 1)
    st.subheader("Over many texts", help=WORDS["faithfulness"], anchor=False)
    _over_dataset(both[0], choice)


def _draw_evaluation(found: FaithfulnessEvaluation, alone: bool) -> None:
    """What follows, in words; then the curves."""
    st.info(md(found.sentences[0], 600), icon=":material/balance:")
    for sentence in found.sentences[1:]:
        st.caption(md(sentence, 600))
    drawn = curves.faithfulness_curves(found.curves, found.target)
    page = figure.page(drawn, theme=st.context.theme.type or "auto", title="Faithfulness")
    st.iframe(page, height=_CURVES_HEIGHT * (1 if alone else 2))  # below each other in half the width


def _evaluate(side: Side, choice: Choice) -> FaithfulnessEvaluation:
    """All checks, one after the other."""
    tell = long_tasks.progress_bar("Evaluating")
    whole: FaithfulnessEvaluation | None = None
    for number, check in enumerate(CHECKS):
        found = evaluation.evaluate_faithfulness(
            side.predictor,
            side.text,
            choice.method,
            side.pair,
            choice.target,
            choice.place,
            checks=[check],
            options=choice.options,
        )
        whole = found if whole is None else _joined(whole, found, check)
        tell(number + 1, len(CHECKS))
    assert whole is not None
    return whole


def _joined(whole: FaithfulnessEvaluation, found: FaithfulnessEvaluation, check: str) -> FaithfulnessEvaluation:
    return dataclasses.replace(whole, **{check: getattr(found, check)}, sentences=[*whole.sentences, *found.sentences])


def _over_dataset(side: Side, choice: Choice) -> None:
    """How faithful the method is over texts of the run's data; kept with the run, so that Compare shows it too."""
    for known in sorted(
        dataset_faithfulness.read_dataset_faithfulness(side.run.folder).values(),
        key=lambda one: one.method != choice.method,
    ):
        st.info(md(known.sentence, 600), icon=":material/balance:")
    if side.what != side.run.id:
        return
    pairs = reads_pairs(side.predictor.task)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        most = st.select_slider("Texts", [20, 50, 100, 200, 500], value=50, key="explain.over", width=260)
        texts = inputs.example_texts(side.run, pairs, most)
        seconds = (DATASET_CALLS + _slow_asks(choice)) * len(texts) * side.seconds
        started = bool(texts) and long_tasks.start_button(
            f"Evaluate {_method_name(choice.method)} over {len(texts)} texts", "explain.evaluate_dataset", seconds
        )
    if not texts:
        st.caption("The run keeps no predictions to take texts from.")
    if started:
        tell = long_tasks.progress_bar("Evaluating")
        found = dataset_faithfulness.evaluate_dataset_faithfulness(
            side.predictor, texts, choice.method, progress=tell, options=choice.options
        )
        found.save(side.run.folder)
        st.rerun()
