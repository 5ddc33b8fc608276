"""What the heads do over many texts: the patterns they follow, how much each matters, how far each has moved."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from dashboard.parts.explain import inputs
from dashboard.parts.shared import curves, long_tasks, side_by_side
from dashboard.parts.shared.glossary import WORDS
from dashboard.parts.shared.side_by_side import Side
from dashboard.parts.shared.text import md
from workbench.explain import layers
from workbench.explain.aggregates import HeadPatterns, head_patterns
from workbench.explain.attention_difference import attention_divergence
from workbench.explain.cache import load_importance, load_layers, load_patterns, save_measurement
from workbench.explain.examples import reads_pairs
from workbench.explain.heads import HeadImportance, Measure, head_importance
from workbench.explain.layers import layer_importance
from workbench.explain.render import figure, maps

TEXTS = 50
_CELL, _AROUND = 30, 175  # pixels of a map
MEASURES: dict[Measure, str] = {
    "ablation": "what is lost without it",
    "gradient": "how strongly it is felt (quicker)",
}
READINGS = {
    "patterns": "A pattern is measured, not judged by eye: a head is named after one when at least 40% of its "
    "attention follows it, and three times as much as even attention would. A head without a name may still be of use.",
    "importance": "Heads are switched off one at a time. Small numbers do not add up: two heads that do the same can "
    "each be missed without loss.",
    "moves": "0: the head looks exactly where it looked; 1: nowhere the same. A head that moved need not matter.",
}


def show(both: list[Side]) -> None:
    """The maps that are there, and buttons for those that are not."""
    side = both[0]
    if side.what != side.run.id or not inputs.examples(side.run):
        st.caption("The run keeps no predictions to take texts from.")
        return
    if len(both) > 1 and both[1].what != side.what:
        st.subheader("Which heads moved most", help=WORDS["head"], anchor=False)
        show_divergence(both)
    st.subheader("Patterns", help=WORDS["head"], anchor=False)
    _patterns(side)
    st.subheader("Importance", anchor=False)
    _importance(side)
    st.subheader("Layers", anchor=False)
    _layers(side)


def _texts(side: Side, most: int = TEXTS) -> list[dict[str, str]]:
    pairs = reads_pairs(side.predictor.task)
    return inputs.example_texts(side.run, pairs, most)


# -- patterns -------------------------------------------------------------------------------------------------------


def _patterns(side: Side) -> None:
    found = load_patterns(side.run)
    if found is None:
        texts = [given["text"] for given in _texts(side)]
        label = f"Measure patterns over {len(texts)} texts"
        if not long_tasks.start_button(label, "explain.patterns", 3 * side.seconds * len(texts)):
            return
        tell = long_tasks.progress_bar("Measuring patterns")
        read = side.predictor
        found = head_patterns(read.model, read.tokenizer, texts, read.max_length, progress=tell)
        save_measurement(side.run, found)
        st.rerun()  # the button goes
    choices = {"which": "which pattern", "entropy": "how spread (bits)", "distance": "how far (tokens)"}
    choices |= {name: name for name in found.patterns}
    chosen = st.segmented_control(
        "Shown", list(choices), format_func=lambda name: choices[name], default="which", key="explain.pattern"
    )
    _map(_pattern_figure(found, chosen or "which"), len(found.entropy))
    st.caption(md(" ".join([f"Over {found.texts} texts.", READINGS["patterns"], *found.notes]), 800))


def _pattern_figure(found: HeadPatterns, chosen: str) -> figure.Figure:
    if chosen == "which":
        return maps.pattern_map(found)
    if chosen == "entropy":
        return maps.head_map(found.entropy, "How spread each head's attention is", "bits")
    if chosen == "distance":
        return maps.head_map(found.distance, "How far each head looks", "tokens")
    what = f"of its attention (even attention: {found.even[chosen]:.2f})"
    return maps.head_map(found.patterns[chosen], f"Attention to: {chosen}", what, most=1.0)


# -- importance -----------------------------------------------------------------------------------------------------


def _importance(side: Side) -> None:
    measure: Measure = (
        st.segmented_control(
            "Measured by",
            list(MEASURES),
            format_func=lambda name: MEASURES[name],
            default="ablation",
            key="explain.measure",
        )
        or "ablation"
    )
    found = load_importance(side.run, measure)
    if found is None:
        texts = _texts(side)
        heads = _head_count(side)
        seconds = len(texts) * side.seconds * (6.0 if measure == "gradient" else heads)
        if not long_tasks.start_button(f"Measure over {len(texts)} texts", f"explain.importance.{measure}", seconds):
            return
        found = head_importance(side.predictor, texts, measure, progress=long_tasks.progress_bar("Measuring heads"))
        save_measurement(side.run, found)
        st.rerun()
    _map(maps.importance_map(found), len(found.importance))
    st.caption(md(f"Over {found.texts} texts. {_least(found)} {READINGS['importance']}", 800))


def _layers(side: Side) -> None:
    """What is lost without each layer."""
    found = load_layers(side.run)
    if found is None:
        texts = _texts(side)
        seconds = len(texts) * side.seconds * _layer_count(side)
        if not long_tasks.start_button(f"Leave out each layer, over {len(texts)} texts", "explain.layers", seconds):
            return
        found = layer_importance(side.predictor, texts, long_tasks.progress_bar("Leaving out layers"))
        save_measurement(side.run, found)
        st.rerun()
    st.plotly_chart(_layer_bars(found), key="explain.layer_bars", config=curves.CONFIG)
    st.caption(md(f"Over {found.texts} texts. {layers.READING}", 800))


def _layer_bars(found: layers.LayerImportance) -> go.Figure:
    """A bar a layer, with the 95% interval of its mean."""
    above = [high - value for high, value in zip(found.high, found.importance, strict=True)]
    below = [value - low for low, value in zip(found.low, found.importance, strict=True)]
    bars = go.Bar(
        x=[f"layer {number}" for number in range(len(found.importance))],
        y=found.importance,
        error_y={"type": "data", "array": above, "arrayminus": below},
        hovertemplate="%{x}: falls by %{y:.3f}<extra></extra>",
    )
    drawn = go.Figure(bars)
    drawn.update_layout(
        height=280, margin={"l": 0, "r": 0, "t": 10, "b": 0}, yaxis_title="fall of the answer's probability"
    )
    return drawn


def _least(found: HeadImportance) -> str:
    names = ", ".join(f"{one['layer']}.{one['head']}" for one in found.order[:5])
    return f"Least needed (layer.head): {names}."


def _layer_count(side: Side) -> int:
    return int(getattr(side.predictor.model.config, "num_hidden_layers", 6))


def _head_count(side: Side) -> int:
    config = side.predictor.model.config
    return _layer_count(side) * int(getattr(config, "num_attention_heads", 12) or 1)


# -- moves ----------------------------------------------------------------------------------------------------------


def show_divergence(both: list[Side]) -> None:
    """How far each head of the second looks elsewhere than the same head of the first."""
    first, second = both
    key = ("moves", first.what, second.what, side_by_side.changed(first.run), side_by_side.changed(second.run))
    found = side_by_side.kept(*key)
    if found is None:
        texts = [given["text"] for given in _texts(first)]
        if not long_tasks.start_button(
            f"Compare all heads over {len(texts)} texts", "explain.moves", 6 * first.seconds * len(texts)
        ):
            return
        read = first.predictor
        tell = long_tasks.progress_bar("Comparing heads")
        moved = attention_divergence(read.model, second.predictor.model, read.tokenizer, texts, read.max_length, tell)
        side_by_side.keep(moved, *key)
        st.rerun()
    _map(maps.divergence_map(found), len(found.divergence))
    top = ", ".join(f"{one['layer']}.{one['head']} ({one['divergence']:.3f})" for one in found.order[:5])
    st.caption(md(f"Over {found.texts} texts; most moved (layer.head): {top}. {READINGS['moves']}", 800))


def _map(drawn: figure.Figure, layers: int) -> None:
    page = figure.page([drawn], theme=st.context.theme.type or "auto", title=drawn.title)
    st.iframe(page, height=_AROUND + _CELL * layers)
