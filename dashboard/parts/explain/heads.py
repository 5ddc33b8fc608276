"""What attention heads do over many texts: their patterns, their importance, and how they differ between two runs."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from dashboard.parts.explain import inputs
from dashboard.parts.shared import curves, long_tasks, session_cache, side_by_side
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.side_by_side import Side
from dashboard.parts.shared.text import md
from workbench.explain.examples import TextInputs, reads_pairs
from workbench.explain.internals import layers
from workbench.explain.internals.aggregates import HeadPatterns, head_patterns
from workbench.explain.internals.attention_difference import attention_divergence
from workbench.explain.internals.cache import load_importance, load_layers, load_patterns, save_measurement
from workbench.explain.internals.heads import HeadImportance, Measure, head_importance
from workbench.explain.internals.layers import layer_importance
from workbench.explain.render import figure, maps
from workbench.i18n import N_, _

MAX_TEXTS = 50
_CELL, _AROUND = 30, 175  # pixels of a map
MEASURES: dict[Measure, str] = {"ablation": N_("ablation"), "gradient": N_("gradient (faster)")}
MAPS = {
    "which": N_("strongest pattern"),
    "entropy": N_("entropy (bits)"),
    "distance": N_("distance (tokens)"),
}
READINGS = {
    "patterns": N_(
        "A head is named after a pattern if at least 40% of its attention follows it, and three times as much as "
        "uniform attention would. A head without a name may still be useful."
    ),
    "importance": N_(
        "Heads are removed one at a time. Small values do not add up: of two heads that do the same, each can be "
        "removed without loss."
    ),
    "divergence": N_("0: the head attends exactly as before; 1: nowhere the same. A large change need not matter."),
}
NO_TEXTS = N_("The run has no predictions to take texts from.")


def show(sides: list[Side]) -> None:
    """Show the maps that were computed, and buttons for the others.

    Args:
        sides: one or two.
    """
    side = sides[0]
    if not side.is_run or not inputs.examples(side.run):
        st.caption(_(NO_TEXTS))
        return
    if len(sides) > 1 and sides[1].model_key != side.model_key:
        st.subheader(_("Heads that changed most"), help=help_for("head"), anchor=False)
        show_divergence(sides)
    st.subheader(_("Patterns"), help=help_for("head"), anchor=False)
    _patterns(side)
    st.subheader(_("Importance"), anchor=False)
    _importance(side)
    st.subheader(_("Layers"), anchor=False)
    _layers(side)


def _texts(side: Side) -> list[TextInputs]:
    pairs = reads_pairs(side.predictor.task)
    return inputs.example_texts(side.run, pairs, MAX_TEXTS)


def _caption(n_texts: int, *sentences: str) -> None:
    over = _("Over {n} texts.").format(n=n_texts)
    st.caption(md(" ".join([over, *sentences]), 800))


# -- patterns -------------------------------------------------------------------------------------------------------


def _patterns(side: Side) -> None:
    patterns = load_patterns(side.run)
    if patterns is None:
        texts = [text["text"] for text in _texts(side)]
        label = _("Measure patterns over {n} texts").format(n=len(texts))
        if not long_tasks.start_button(label, "explain.patterns", 3 * side.seconds * len(texts)):
            return
        progress = long_tasks.progress_bar(_("Measuring patterns"))
        predictor = side.predictor
        patterns = head_patterns(predictor.model, predictor.tokenizer, texts, predictor.max_length, progress=progress)
        save_measurement(side.run, patterns)
        st.rerun()  # the button disappears
    names = {name: _(label) for name, label in MAPS.items()} | {name: _(name) for name in patterns.patterns}
    chosen = st.segmented_control(
        _("Map"), list(names), format_func=lambda name: names[name], default="which", key="explain.pattern"
    )
    _draw_map(_pattern_figure(patterns, chosen or "which"), len(patterns.entropy))
    _caption(patterns.texts, _(READINGS["patterns"]), *patterns.remarks())


def _pattern_figure(patterns: HeadPatterns, chosen: str) -> figure.Figure:
    if chosen == "which":
        return maps.pattern_map(patterns)
    if chosen == "entropy":
        return maps.head_map(patterns.entropy, _("Entropy of each head's attention"), _("bits"))
    if chosen == "distance":
        return maps.head_map(patterns.distance, _("Mean distance that each head attends"), _("tokens"))
    unit = _("of its attention (uniform attention: {value})").format(value=f"{patterns.even[chosen]:.2f}")
    title = _("Attention to: {pattern}").format(pattern=_(chosen))
    return maps.head_map(patterns.patterns[chosen], title, unit, most=1.0)


# -- importance -----------------------------------------------------------------------------------------------------


def _importance(side: Side) -> None:
    measure: Measure = (
        st.segmented_control(
            _("Measured by"),
            list(MEASURES),
            format_func=lambda name: _(MEASURES[name]),
            default="ablation",
            key="explain.measure",
        )
        or "ablation"
    )
    importance = load_importance(side.run, measure)
    if importance is None:
        texts = _texts(side)
        seconds = len(texts) * side.seconds * (6.0 if measure == "gradient" else _num_heads(side))
        label = _("Measure over {n} texts").format(n=len(texts))
        if not long_tasks.start_button(label, f"explain.importance.{measure}", seconds):
            return
        progress = long_tasks.progress_bar(_("Measuring heads"))
        importance = head_importance(side.predictor, texts, measure, progress=progress)
        save_measurement(side.run, importance)
        st.rerun()
    _draw_map(maps.importance_map(importance), len(importance.importance))
    _caption(importance.texts, _least(importance), _(READINGS["importance"]))


def _layers(side: Side) -> None:
    """Draw what is lost without each layer."""
    importance = load_layers(side.run)
    if importance is None:
        texts = _texts(side)
        seconds = len(texts) * side.seconds * side.num_layers
        label = _("Remove each layer, over {n} texts").format(n=len(texts))
        if not long_tasks.start_button(label, "explain.layers", seconds):
            return
        progress = long_tasks.progress_bar(_("Removing layers"))
        importance = layer_importance(side.predictor, texts, progress)
        save_measurement(side.run, importance)
        st.rerun()
    st.plotly_chart(_layer_bars(importance), key="explain.layer_bars", config=curves.CONFIG)
    _caption(importance.texts, _(layers.READING))


def _layer_bars(importance: layers.LayerImportance) -> go.Figure:
    """Return a bar per layer, with the 95% interval of its mean."""
    above = [high - value for high, value in zip(importance.high, importance.importance, strict=True)]
    below = [value - low for low, value in zip(importance.low, importance.importance, strict=True)]
    point = _("{layer}: drops by {value}").format(layer="%{x}", value="%{y:.3f}")
    bars = go.Bar(
        x=[_("layer {n}").format(n=index) for index in range(len(importance.importance))],
        y=importance.importance,
        error_y={"type": "data", "array": above, "arrayminus": below},
        hovertemplate=f"{point}<extra></extra>",
    )
    chart = go.Figure(bars)
    chart.update_layout(
        height=280, margin={"l": 0, "r": 0, "t": 10, "b": 0}, yaxis_title=_("drop of the predicted probability")
    )
    return chart


def _least(importance: HeadImportance) -> str:
    names = ", ".join(f"{head['layer']}.{head['head']}" for head in importance.order[:5])
    return _("Least important (layer.head): {heads}.").format(heads=names)


def _num_heads(side: Side) -> int:
    config = side.predictor.model.config
    return side.num_layers * int(getattr(config, "num_attention_heads", 12) or 1)


# -- divergence -----------------------------------------------------------------------------------------------------


def show_divergence(sides: list[Side]) -> None:
    """Show how differently each head of the second side attends from the same head of the first.

    Args:
        sides: two.
    """
    first, second = sides
    versions = (side_by_side.version_of(first.run), side_by_side.version_of(second.run))
    key = ("divergence", first.model_key, second.model_key, *versions)
    divergence = session_cache.get(*key)
    if divergence is None:
        texts = [text["text"] for text in _texts(first)]
        label = _("Compare all heads over {n} texts").format(n=len(texts))
        if not long_tasks.start_button(label, "explain.moves", 6 * first.seconds * len(texts)):
            return
        predictor = first.predictor
        progress = long_tasks.progress_bar(_("Comparing heads"))
        result = attention_divergence(
            predictor.model, second.predictor.model, predictor.tokenizer, texts, predictor.max_length, progress
        )
        session_cache.put(result, *key)
        st.rerun()
    _draw_map(maps.divergence_map(divergence), len(divergence.divergence))
    top = ", ".join(f"{head['layer']}.{head['head']} ({head['divergence']:.3f})" for head in divergence.order[:5])
    most = _("Changed most (layer.head): {heads}.").format(heads=top)
    _caption(divergence.texts, most, _(READINGS["divergence"]))


def _draw_map(chart: figure.Figure, n_layers: int) -> None:
    page = figure.page([chart], theme=st.context.theme.type or "auto", title=chart.title)
    st.iframe(page, height=_AROUND + _CELL * n_layers)
