"""The top of Explain: the text, an example of the run's data, and what to compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts.shared import curves, run_list, side_by_side
from dashboard.parts.shared.side_by_side import Side
from dashboard.parts.shared.text import cut, md, plain
from workbench.explain.examples import TextInputs, sample_texts, text_inputs
from workbench.i18n import N_, _, ngettext
from workbench.inference.predictor import Predictor
from workbench.runs.predictions import example_inputs, has_predictions, input_text, read_predictions
from workbench.runs.run import Run
from workbench.workspace import Workspace

MAX_LABELS = 12  # bars
MAX_EXAMPLES = 200  # offered at once; the search finds the others
COLUMNS = ["input", "gold", "prediction", "score", "correct"]
OTHERS = {state.Explain.BASE_MODEL: N_("base model"), state.Explain.OTHER_TEXT: N_("another text")}

Rows = dict[str, list[Any]]  # columns of predictions


# -- the text -------------------------------------------------------------------------------------------------------


@st.cache_data(max_entries=2, show_spinner=False)
def _predictions(run_id: str, version: int, root: str) -> Rows:
    rows = read_predictions(Run.open(run_id, Workspace.current()), COLUMNS)
    inputs = example_inputs(rows)
    rows |= {"inputs": inputs, "text": [input_text(each) for each in inputs]}
    order = sorted(range(len(inputs)), key=lambda i: _rank(rows, i))
    return {name: [column[i] for i in order] for name, column in rows.items()}


def _rank(rows: Rows, index: int) -> tuple[bool, float]:
    """Errors first, the most confident in front; then correct predictions, the least confident in front."""
    score = float(_cell(rows, "score", index) or 0.0)
    is_wrong = _cell(rows, "correct", index) is False
    return not is_wrong, -score if is_wrong else score


def _cell(rows: Rows, name: str, index: int) -> Any:
    return rows[name][index] if name in rows else None


def examples(run: Run) -> Rows:
    """Return a run's predictions, the most confident errors first; empty if there are none.

    Args:
        run: a finished run.
    """
    if not has_predictions(run):
        return {}
    return _predictions(run.id, side_by_side.version_of(run), str(run.folder.parent))


def example_texts(run: Run, pairs: bool, most: int) -> list[TextInputs]:
    """Return evaluated texts of a run from all over its data, as the explaining functions take them.

    Args:
        run: a finished run.
        pairs: whether its model reads two texts.
        most: how many texts at most.
    """
    return sample_texts(examples(run).get("inputs", []), pairs, most)


def choose_example(run: Run, pairs: bool) -> None:
    """Draw the search for a text of the run's data, which fills the text field.

    Args:
        run: a finished run.
        pairs: whether its model reads two texts.
    """
    rows = examples(run)
    if not rows.get("inputs"):
        return
    search, chooser = st.columns([1, 2])
    query = search.text_input(_("Search examples"), key="explain.search", placeholder=_("words of the text"))
    words = query.lower().split()
    indices = [i for i, text in enumerate(rows["text"]) if all(word in text.lower() for word in words)]

    def take() -> None:
        index = st.session_state["explain.example"]
        if index is not None:
            inputs = text_inputs(rows["inputs"][index], pairs)
            st.session_state[state.Explain.TEXT.key] = inputs["text"][: state.MAX_TEXT]
            st.session_state[state.Explain.PAIR.key] = inputs.get("text_pair", "")[: state.MAX_TEXT]

    placeholder = _("{n} examples, most confident errors first")
    if words:
        placeholder = ngettext("{n} match", "{n} matches", len(indices))
    chooser.selectbox(
        _("An example of the run's data"),
        indices[:MAX_EXAMPLES],
        index=None,
        format_func=lambda index: example_label(rows, index),
        key="explain.example",
        on_change=take,
        placeholder=placeholder.format(n=f"{len(indices):,}"),
        help=_("Texts that the run was evaluated on, most confident errors first."),
    )


def example_label(rows: Rows, index: int) -> str:
    """Return an example in a list: whether it was right, the prediction, and the text.

    Args:
        rows: the result of :func:`examples`.
        index: index of the row.
    """
    is_right, prediction = _cell(rows, "correct", index), cut(_cell(rows, "prediction", index) or "", 24)
    text = cut(rows["text"][index], 90)
    if is_right is None or not prediction:
        return text
    if is_right:
        return f"✔ {prediction}: {text}"
    wrong = _("✖ {prediction}, not {gold}: {text}")
    return wrong.format(prediction=prediction, gold=cut(_cell(rows, "gold", index), 24), text=text)


def text_field() -> str:
    """Draw the field of the text that is explained; return the text."""
    choice = state.Explain.TEXT
    state.from_url(choice, lambda text: text[: state.MAX_TEXT])
    text = st.text_area(
        _("Text"), key=choice.key, max_chars=state.MAX_TEXT, height=110, placeholder=_("Type a sentence ...")
    )
    state.to_url(choice, text)
    return text


def all_texts(predictor: Predictor, text: str) -> dict[str, str]:
    """Return the model's inputs by role, with a field for the second text if it reads pairs.

    Args:
        predictor: the model.
        text: the first text.
    """
    roles = [column.role for column in predictor.task.inputs() if column.kind == "text" and column.required]
    texts = {roles[0] if roles else "text": text}
    if len(roles) > 1:
        choice = state.Explain.PAIR
        state.from_url(choice, lambda value: value[: state.MAX_TEXT])
        name = _(roles[1].replace("_", " "))
        label = name[:1].upper() + name[1:]
        texts[roles[1]] = st.text_area(label, key=choice.key, max_chars=state.MAX_TEXT, height=80)
        state.to_url(choice, texts[roles[1]])
    return texts


# -- what to compare with -------------------------------------------------------------------------------------------


def choose_other(run: Run, ids: list[str], texts: dict[str, str]) -> Side | None:
    """Draw the choice of the other side: another run or the base model with the same text, or another text.

    Args:
        run: the run that is explained.
        ids: ids of the runs of the same task.
        texts: texts of the first side, by role.
    """
    choice = state.Explain.COMPARE_WITH
    options: list[str | None] = [None, *OTHERS, *(other for other in ids if other != run.id)]
    state.from_url(choice, state.known([option for option in options if option]))
    if st.session_state.get(choice.key) not in options:
        st.session_state[choice.key] = None
    chosen = st.selectbox(
        _("Compare with"),
        options,
        format_func=_other_name,
        key=choice.key,
        help=_("The base model is the run's model before fine-tuning; its new head is untrained."),
    )
    state.to_url(choice, chosen or "")
    if chosen is None:
        return None
    if chosen == state.Explain.OTHER_TEXT:
        return _other_text(run, texts)
    if chosen == state.Explain.BASE_MODEL:
        return Side(_("base model"), run, side_by_side.load_base(run), texts, f"{run.id}, base")
    other = Run.open(chosen, Workspace.current())
    return Side(run_list.title(other.id), other, side_by_side.load(other), texts, other.id)


def _other_name(name: str | None) -> str:
    if name is None:
        return _("none")
    return _(OTHERS[name]) if name in OTHERS else run_list.title(name)


def _other_text(run: Run, texts: dict[str, str]) -> Side | None:
    choice = state.Explain.SECOND_TEXT
    state.from_url(choice, lambda text: text[: state.MAX_TEXT])
    role = next(iter(texts))
    text = st.text_area(
        _("Other text"),
        key=choice.key,
        max_chars=state.MAX_TEXT,
        height=80,
        placeholder=_("For example, the same text with one word changed"),
    )
    state.to_url(choice, text)
    if not text.strip():
        st.caption(_("Type the other text to see both."))
        return None
    return Side(_("other text"), run, side_by_side.load(run), {**texts, role: text}, run.id)


# -- the prediction -------------------------------------------------------------------------------------------------


def show_predictions(sides: list[Side]) -> None:
    """Show the prediction of each side, and the probability of each label as a bar.

    Args:
        sides: one or two.
    """
    specs = [side.target_spec() for side in sides]
    for side, spec in zip(sides, specs, strict=True):
        labels = spec.prediction.get("labels") or [spec.prediction.get("label")]
        prediction = ", ".join(md(label, 80) for label in labels if label is not None) or _("none")
        text = _("**Prediction: {label}**") if len(sides) == 1 else _("**Prediction, {side}: {label}**")
        position = spec.target.position
        if position is not None:
            word = md(side.instance().encoded.shown[position], 40)
            text += " " + _("(at {word})").format(word=word)
        st.markdown(text.format(label=prediction, side=md(side.name, 60)))
    names = list(dict.fromkeys(name for spec in specs for name in _best_first(spec.prediction["scores"])))
    names = names[:MAX_LABELS]
    bars = [
        _bars(side, spec.prediction["scores"], names, i)
        for i, (side, spec) in enumerate(zip(sides, specs, strict=True))
    ]
    figure = go.Figure(bars)
    figure.update_layout(
        height=70 + (30 if len(sides) == 1 else 44) * len(names) + (30 if len(sides) > 1 else 0),
        margin={"l": 10, "r": 10, "t": 5, "b": 5},
        xaxis={"range": [0, 1], "title": _("Probability"), "tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75]},
        yaxis={"autorange": "reversed", "automargin": True},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        showlegend=len(sides) > 1,
    )
    st.plotly_chart(figure, key="explain.probabilities", config={"displayModeBar": False})


def _best_first(scores: Mapping[str, float]) -> list[str]:
    return sorted(scores, key=lambda name: -scores[name])


def _bars(side: Side, scores: Mapping[str, float], names: Sequence[str], index: int) -> go.Bar:
    values = [scores.get(name) for name in names]
    return go.Bar(
        x=values,
        y=[plain(name, 40) or _("(empty)") for name in names],
        name=plain(side.name, 40),
        orientation="h",
        text=["" if value is None else f"{value:.1%}" for value in values],
        textposition="auto",
        insidetextfont={"color": "#11181D" if st.context.theme.type == "dark" else "#FFFFFF"},
        marker_color=curves.palette()[index],
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )
