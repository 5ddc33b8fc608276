"""The top of Explain: the text, an example of the run's data, and what to compare with."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts.shared import curves, run_list, side_by_side
from dashboard.parts.shared.side_by_side import Side
from dashboard.parts.shared.text import cut, md, plain
from workbench.explain.examples import sample_texts, text_inputs
from workbench.inference.predictor import Predictor
from workbench.runs.predictions import example_inputs, has_predictions, input_text, read_predictions
from workbench.runs.run import Run
from workbench.workspace import Workspace

MOST_LABELS = 12  # bars
MOST_EXAMPLES = 200  # offered at once; the search finds the others
COLUMNS = ["input", "gold", "prediction", "score", "correct"]


# -- the text -------------------------------------------------------------------------------------------------------


@st.cache_data(max_entries=2, show_spinner=False)
def _predictions(run_id: str, changed: int, root: str) -> dict[str, list[Any]]:
    rows = read_predictions(Run.open(run_id, Workspace.current()), COLUMNS)
    inputs = example_inputs(rows)
    rows |= {"inputs": inputs, "text": [input_text(each) for each in inputs]}
    order = sorted(range(len(inputs)), key=lambda i: _rank(rows, i))
    return {name: [column[i] for i in order] for name, column in rows.items()}


def _rank(rows: dict[str, list[Any]], place: int) -> tuple[bool, float]:
    """Mistakes first, the most confident of them in front; then what was right, the least confident in front."""
    sure = float(_cell(rows, "score", place) or 0.0)
    wrong = _cell(rows, "correct", place) is False
    return not wrong, -sure if wrong else sure


def _cell(rows: dict[str, list[Any]], name: str, place: int) -> Any:
    return rows[name][place] if name in rows else None


def examples(run: Run) -> dict[str, list[Any]]:
    """The run's predictions, the most confident mistakes first; empty where there are none."""
    return _predictions(run.id, side_by_side.changed(run), str(run.folder.parent)) if has_predictions(run) else {}


def example_texts(run: Run, pairs: bool, most: int) -> list[dict[str, str]]:
    """Some of the run's evaluated texts, as the explaining functions take them: not the first but from all over."""
    return sample_texts(examples(run).get("inputs", []), pairs, most)


def choose_example(run: Run, pairs: bool) -> None:
    """A text of the run's data, found by its words, put into the text field."""
    rows = examples(run)
    if not rows.get("inputs"):
        return
    find, chooser = st.columns([1, 2])
    words = find.text_input("Find an example", key="explain.search", placeholder="words in it").lower().split()
    places = [i for i, text in enumerate(rows["text"]) if all(word in text.lower() for word in words)]

    def take() -> None:
        place = st.session_state["explain.example"]
        if place is not None:
            given = text_inputs(rows["inputs"][place], pairs)
            st.session_state[state.Explain.TEXT.key] = given["text"][: state.MAX_TEXT]
            st.session_state[state.Explain.PAIR.key] = given.get("text_pair", "")[: state.MAX_TEXT]

    chooser.selectbox(
        "An example of the run's data",
        places[:MOST_EXAMPLES],
        index=None,
        format_func=lambda i: example_label(rows, i),
        key="explain.example",
        on_change=take,
        placeholder=f"{len(places):,} found" if words else f"{len(places):,}, the most confident mistakes first",
        help="Texts that the run was evaluated on: first those that it got wrong and was most sure of.",
    )


def example_label(rows: dict[str, list[Any]], place: int) -> str:
    """An example in a list: whether it was right, what was said, and its text."""
    right, said = _cell(rows, "correct", place), cut(_cell(rows, "prediction", place) or "", 24)
    text = cut(rows["text"][place], 90)
    if right is None or not said:
        return text
    return f"✔ {said}: {text}" if right else f"✖ {said}, not {cut(_cell(rows, 'gold', place), 24)}: {text}"


def text_field() -> str:
    """The text that is explained."""
    state.from_url(state.Explain.TEXT, lambda given: given[: state.MAX_TEXT])
    text = st.text_area(
        "Text", key=state.Explain.TEXT.key, max_chars=state.MAX_TEXT, height=110, placeholder="Type a sentence ..."
    )
    state.to_url(state.Explain.TEXT, text)
    return text


def all_texts(predictor: Predictor, text: str) -> dict[str, str]:
    """What the model is given: the text, and the second one where it reads pairs."""
    roles = [column.role for column in predictor.task.inputs() if column.kind == "text" and column.required]
    given = {roles[0] if roles else "text": text}
    if len(roles) > 1:
        state.from_url(state.Explain.PAIR, lambda shown: shown[: state.MAX_TEXT])
        label = roles[1].replace("_", " ").capitalize()
        given[roles[1]] = st.text_area(label, key=state.Explain.PAIR.key, max_chars=state.MAX_TEXT, height=80)
        state.to_url(state.Explain.PAIR, given[roles[1]])
    return given


# -- what to compare with -------------------------------------------------------------------------------------------


def choose_other(run: Run, ids: list[str], given: dict[str, str]) -> Side | None:
    """The other side: another run or the run's base with the same text, or the same run with another text."""
    offered: list[str | None] = [
        None,
        state.Explain.BASE_MODEL,
        state.Explain.OTHER_TEXT,
        *(other for other in ids if other != run.id),
    ]
    state.from_url(state.Explain.COMPARE_WITH, lambda name: name if name in offered else None)
    if st.session_state.get(state.Explain.COMPARE_WITH.key) not in offered:
        st.session_state[state.Explain.COMPARE_WITH.key] = None
    chosen = st.selectbox(
        "Compare with",
        offered,
        format_func=lambda name: _other_name(name),
        key=state.Explain.COMPARE_WITH.key,
        help="The base is the model that the run began with, before any training; its new head knows nothing yet.",
    )
    state.to_url(state.Explain.COMPARE_WITH, chosen or "")
    if chosen is None:
        return None
    if chosen == state.Explain.OTHER_TEXT:
        return _other_text(run, given)
    if chosen == state.Explain.BASE_MODEL:
        return Side("its base", run, side_by_side.load_base(run), given, f"{run.id}, base")
    other = Run.open(chosen, Workspace.current())
    return Side(run_list.title(other.id), other, side_by_side.load(other), given, other.id)


def _other_name(name: str | None) -> str:
    fixed = {None: "nothing", state.Explain.BASE_MODEL: "its base model", state.Explain.OTHER_TEXT: "another text"}
    return fixed[name] if name in fixed else run_list.title(str(name))


def _other_text(run: Run, given: dict[str, str]) -> Side | None:
    state.from_url(state.Explain.SECOND_TEXT, lambda text: text[: state.MAX_TEXT])
    role = next(iter(given))
    other = st.text_area(
        "The other text",
        key=state.Explain.SECOND_TEXT.key,
        max_chars=state.MAX_TEXT,
        height=80,
        placeholder="The same text with a word changed, for instance",
    )
    state.to_url(state.Explain.SECOND_TEXT, other)
    if not other.strip():
        st.caption("Type the other text to see both.")
        return None
    return Side("the other text", run, side_by_side.load(run), {**given, role: other}, run.id)


# -- the prediction -------------------------------------------------------------------------------------------------


def show_predictions(both: list[Side]) -> None:
    """What the model says, or the two, and the probability that each gives to each answer as a bar."""
    specs = [side.target_spec() for side in both]
    for side, spec in zip(both, specs, strict=True):
        labels = spec.prediction.get("labels") or [spec.prediction.get("label")]
        said = ", ".join(md(label, 80) for label in labels if label is not None) or "none"
        whose = "Prediction" if len(both) == 1 else f"Prediction, {md(side.name, 60)}"
        place = spec.target.position
        where = "" if place is None else f" (at {md(side.instance().encoded.shown[place], 40)})"
        st.markdown(f"**{whose}: {said}**{where}")
    names = list(dict.fromkeys(name for spec in specs for name, _ in _best(spec.prediction)))[:MOST_LABELS]
    bars = [_bars(side, spec.prediction, names, i) for i, (side, spec) in enumerate(zip(both, specs, strict=True))]
    figure = go.Figure(bars)
    figure.update_layout(
        height=70 + (30 if len(both) == 1 else 44) * len(names) + (30 if len(both) > 1 else 0),
        margin={"l": 10, "r": 10, "t": 5, "b": 5},
        xaxis={"range": [0, 1], "title": "Probability", "tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75]},
        yaxis={"autorange": "reversed", "automargin": True},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        showlegend=len(both) > 1,
    )
    st.plotly_chart(figure, key="explain.probabilities", config={"displayModeBar": False})


def _best(prediction: dict[str, Any]) -> list[tuple[str, float]]:
    return sorted(prediction["scores"].items(), key=lambda item: -item[1])


def _bars(side: Side, prediction: dict[str, Any], names: list[str], place: int) -> go.Bar:
    values = [prediction["scores"].get(name) for name in names]
    return go.Bar(
        x=values,
        y=[plain(name, 40) or "(empty)" for name in names],
        name=plain(side.name, 40),
        orientation="h",
        text=["" if value is None else f"{value:.1%}" for value in values],
        textposition="auto",
        insidetextfont={"color": "#11181D" if st.context.theme.type == "dark" else "#FFFFFF"},
        marker_color=curves.palette()[place],
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )
