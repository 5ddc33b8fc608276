"""What a trained model does with one text: its prediction, what its tokens count for, and its attention."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts import curves
from dashboard.parts.glossary import WORDS
from dashboard.parts.text import cut, md, plain
from workbench.explain import base as explaining
from workbench.explain import capture
from workbench.explain.render import bertviz, static
from workbench.explain.subject import MODEL_LOCK
from workbench.runs.predictions import has_predictions, read_predictions
from workbench.runs.run import Run
from workbench.training.predictor import Predictor
from workbench.workspace import Workspace

MOST_LABELS = 12  # bars
MOST_EXAMPLES = 500
_HEADS_HEIGHT = 230  # pixels of an attention view around its tokens or pictures, and of each of these
_TOKEN_HEIGHT, _PICTURE_HEIGHT = 23, 102


@st.cache_resource(max_entries=2, show_spinner="Loading the model ...")
def _loaded(run_id: str, changed: int, root: str) -> Predictor:
    return Predictor.load(Run.open(run_id, Workspace.current()))


def load(run: Run) -> Predictor:
    """The run's model; the last two stay in memory. Raises WorkbenchError."""
    report = run.folder / "report.json"
    changed = report.stat().st_mtime_ns if report.exists() else 0
    return _loaded(run.id, changed, str(run.folder.parent))


# -- the text -----------------------------------------------------------------------------------------------------


def choose_example(run: Run) -> None:
    """A text from the run's test predictions, put into the text field."""
    if not has_predictions(run):
        return
    rows = read_predictions(run, ["input", "gold", "prediction", "correct"])
    only_wrong = bool(st.session_state.get("explain.only_wrong"))
    places = [i for i, right in enumerate(rows["correct"]) if not (only_wrong and right)][:MOST_EXAMPLES]

    def take() -> None:
        place = st.session_state["explain.example"]
        if place is not None:
            st.session_state[state.EXPLAIN_TEXT] = cut(rows["input"][place], state.LONGEST_TEXT)

    st.selectbox(
        "A test example",
        places,
        index=None,
        format_func=lambda i: f"{'✔' if rows['correct'][i] else '✖'} {cut(rows['input'][i], 90)}",
        key="explain.example",
        on_change=take,
        placeholder=f"Choose one of {len(places)}",
    )
    st.toggle("Only those that the model got wrong", key="explain.only_wrong")


def inputs(predictor: Predictor, text: str) -> dict[str, str]:
    """What the model is given: the text, and the second one where it reads pairs."""
    roles = [column.role for column in predictor.task.columns() if column.kind == "text"]
    given = {roles[0] if roles else "text": text}
    for role in roles[1:]:
        given[role] = st.text_area(role.replace("_", " ").capitalize(), key=f"explain.{role}", height=90)
    return given


# -- the prediction -----------------------------------------------------------------------------------------------


def show_prediction(prediction: dict[str, Any]) -> None:
    """The label, and each label's probability as a bar."""
    labels = prediction.get("labels") or [prediction.get("label")]
    said = ", ".join(md(label, 80) for label in labels if label is not None) or "none"
    st.markdown(
        f"**Prediction: {said}**", help="What the model says, with the probability that it gives to each label."
    )
    scores = sorted(prediction["scores"].items(), key=lambda item: -item[1])[:MOST_LABELS]
    figure = go.Figure(
        go.Bar(
            x=[score for _, score in scores],
            y=[plain(label, 40) for label, _ in scores],
            orientation="h",
            text=[f"{score:.1%}" for _, score in scores],
            textposition="auto",
            insidetextfont={"color": "#11181D" if st.context.theme.type == "dark" else "#FFFFFF"},
            marker_color=curves.palette()[0],
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    )
    figure.update_layout(
        height=70 + 34 * len(scores),
        margin={"l": 10, "r": 10, "t": 5, "b": 5},
        xaxis={"range": [0, 1], "title": "Probability", "tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75]},
        yaxis={"autorange": "reversed", "automargin": True},
    )
    st.plotly_chart(figure, key="explain.probabilities", config={"displayModeBar": False})


# -- the views ----------------------------------------------------------------------------------------------------


def show_tokens(predictor: Predictor, given: dict[str, str]) -> None:
    """What each token counts for the prediction, and how far that can be believed."""
    fits = explaining.fitting(predictor)
    usable = [name for name, reason in fits.items() if reason is None]
    with st.container(horizontal=True):
        method = st.selectbox("Method", usable, format_func=explaining.explainers.label, key="explain.method")
        target = st.selectbox(
            "Explained label",
            [None, *predictor.labels],
            format_func=lambda v: "the predicted one" if v is None else v,
            key="explain.target",
        )
    with st.spinner("Explaining ..."):
        texts = list(given.values())
        found = explaining.explain(predictor, texts[0], method, texts[1] if len(texts) > 1 else None, target)
    st.html(static.token_heat_html(found))


def show_attention(predictor: Predictor, given: dict[str, str], view: bertviz.View) -> None:
    """bertviz's head or model view; what can be drawn instead when the text is too long for it."""
    texts = list(given.values())
    with MODEL_LOCK:
        attention = capture.capture_attention(
            predictor.model, predictor.tokenizer, texts[0], texts[1] if len(texts) > 1 else None, predictor.max_length
        )
    layers = list(range(attention.layers))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.multiselect(
            "Layers",
            layers,
            default=_that_fit(attention, view),
            key=f"explain.layers.{view}",
            help="0 is next to the input.",
        )
        hide = st.toggle(
            "Hide special tokens", key="explain.special", help="[CLS] and [SEP], which the tokenizer adds."
        )
    st.caption(WORDS["attention"])
    shown = attention.without_special() if hide else attention
    why = bertviz.why_not_drawn(shown, view, chosen or layers)
    if why:
        st.warning(f"{md(why, 400)} {_way_out(shown, view)}", icon=":material/zoom_in_map:")
        return
    draw = bertviz.head_view if view == "head" else bertviz.model_view
    page = draw(attention, layers=sorted(chosen) or None, hide_special=hide, theme=st.context.theme.type or "auto")
    large = _TOKEN_HEIGHT * len(attention.tokens)
    st.iframe(
        page, height=_HEADS_HEIGHT + (large if view == "head" else max(large, _PICTURE_HEIGHT * len(chosen or layers)))
    )


def _way_out(attention: capture.Attention, view: bertviz.View) -> str:
    """What can be drawn of an attention that is too large for a view."""
    if bertviz.why_not_drawn(attention, view, [0]) is None:
        return "Choose fewer layers, or shorten the text."
    if bertviz.why_not_drawn(attention, "model", [0]) is None:
        return "Fewer layers do not help here: shorten the text, or see the model view of one layer."
    return "Shorten the text, or see what each token counts."


def _that_fit(attention: capture.Attention, view: bertviz.View) -> list[int]:
    """All layers, or as many of the last ones as can be drawn."""
    layers = list(range(attention.layers))
    while len(layers) > 1 and bertviz.why_not_drawn(attention, view, layers):
        layers = layers[1:]
    return layers
