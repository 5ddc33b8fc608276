"""Attention as pictures: bertviz's head, model and neuron view, and our own view of all heads at any length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from dashboard import state
from dashboard.parts.shared import session_cache, side_by_side, url_widgets
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.side_by_side import Side
from dashboard.parts.shared.text import md
from dashboard.serving import heads
from workbench.explain.capture import Attention
from workbench.explain.hooks import MODEL_LOCK
from workbench.explain.internals.alignment import align_attention
from workbench.explain.internals.queries import QueriesKeys, capture_queries_keys
from workbench.explain.render import bertviz, canvas, figure, maps, neuron
from workbench.i18n import N_, _

READINGS = {
    "head": N_(
        "Each line goes from a token (left) to a token that it attends to (right). A colour is a head; a stronger line "
        "is more attention."
    ),
    "model": N_("Every head of every layer: rows are layers, columns are heads. Click a head to enlarge it."),
    "neuron": N_("Why a head attends where it does: the numbers of its query and keys, multiplied and summed."),
    "canvas": N_("Every head as a small map, one of them large. It draws texts of any length that the model reads."),
}
KINDS = {
    "encoder": N_("within the input"),
    "decoder": N_("within the output"),
    "cross": N_("from output to input"),
}
LIMITS = N_(
    "Attention shows where information could flow. It does not prove why the model decides: a head may attend to a "
    "word and not use it."
)
_MAX_INLINE = 600_000  # weights that are sent with the page; of more, heads are requested one at a time
_HEADS_HEIGHT, _TOKEN_HEIGHT = 230, 23  # pixels of an attention view around its tokens, and of a token
_CANVAS_HEIGHT, _MAPS_HEIGHT = 860, 250
_NEURON_HEIGHT = 260
_KEY = "explain.layers"

Check = Callable[[Sequence[int]], str | None]  # why a view cannot draw these layers


def show(sides: list[Side], view: str) -> None:
    """Show one of the views, for one side or two.

    Args:
        sides: one or two.
        view: ``head``, ``model``, ``neuron`` or ``canvas``.
    """
    kind = _choose_kind() if sides[0].is_encoder_decoder and view != "neuron" else "encoder"
    if view == "canvas":
        st.caption(f"{_(READINGS['canvas'])} {_(LIMITS)}")
        show_canvas(sides, kind)
    else:
        show_bertviz(sides, view, kind)


def _choose_kind() -> str:
    """Return the attention of an encoder-decoder model that is shown."""
    return url_widgets.segments(
        _("Attention"), list(KINDS), state.Explain.ATTENTION, format_func=lambda name: _(KINDS[name])
    )


# -- bertviz --------------------------------------------------------------------------------------------------------


def show_bertviz(sides: list[Side], view: str, kind: str = "encoder") -> None:
    """Show the head, model or neuron view; our own view, with a warning, if a text is too long for it.

    Args:
        sides: one or two.
        view: ``head``, ``model`` or ``neuron``.
        kind: see :meth:`Side.attention`.
    """
    attentions = [side.attention(kind) for side in sides]
    layers = list(range(min(attention.layers for attention in attentions)))
    checks = [_check(side, attention, view) for side, attention in zip(sides, attentions, strict=True)]
    chosen, hide_special = _choose_layers(layers, _fitting(layers, checks), view)
    st.caption(f"{_(READINGS[view])} {_(LIMITS)}", help=help_for("attention"))
    shown = [attention.without_special() if hide_special else attention for attention in attentions]
    checks = [_check(side, attention, view) for side, attention in zip(sides, shown, strict=True)]
    reason = next((reason for check in checks if (reason := check(chosen or layers))), None)
    if reason:
        text = _("{reason} The view of all heads is shown instead.").format(reason=md(reason, 400))
        st.warning(text, icon=":material/zoom_in_map:")
        show_canvas(sides, kind)
        return
    across = len(sides) if view == "head" else 1  # the others need the whole width
    containers = st.columns(across, gap="medium") if across > 1 else [st.container() for side in sides]
    for container, side, attention in zip(containers, sides, attentions, strict=True):
        with container:
            side_by_side.show_name(sides, side)
            _draw(side, attention, view, sorted(chosen or layers), hide_special)


def _draw(side: Side, attention: Attention, view: str, layers: list[int], hide_special: bool) -> None:
    theme = st.context.theme.type or "auto"
    count = len(attention.tokens)
    height = _HEADS_HEIGHT + _TOKEN_HEIGHT * count
    if view == "head":
        page = bertviz.head_view(attention, layers=layers, hide_special=hide_special, theme=theme)
        st.iframe(page, height=height)
    elif view == "model":
        page = bertviz.model_view(attention, layers=layers, hide_special=hide_special, theme=theme)
        row = 10 + count * 84 / attention.heads  # as bertviz sizes its pictures
        st.iframe(page, height=int(max(height, _HEADS_HEIGHT + row * len(layers))))
    else:
        page = neuron.neuron_view(_queries(side), layers=layers, theme=theme)
        st.iframe(page, height=_NEURON_HEIGHT + _TOKEN_HEIGHT * count)


@st.cache_resource(max_entries=2, show_spinner=False)
def _queries_of(key: str, _side: Side) -> QueriesKeys:
    predictor = _side.predictor
    with MODEL_LOCK:
        return capture_queries_keys(predictor.model, predictor.tokenizer, _side.text, _side.pair, predictor.max_length)


def _queries(side: Side) -> QueriesKeys:
    with st.spinner(_("Reading queries and keys ...")):
        return _queries_of(side.key, side)


def _check(side: Side, attention: Attention, view: str) -> Check:
    """Return a function that says why the view cannot draw some layers, before anything is drawn."""
    if view == "neuron":
        return lambda layers: neuron.why_not_drawn(_queries(side), len(layers))
    return lambda layers: bertviz.why_not_drawn(attention, "model" if view == "model" else "head", list(layers))


def _choose_layers(layers: list[int], fitting: list[int], view: str) -> tuple[list[int], bool]:
    """Return the layers that are drawn, and whether special tokens are hidden."""
    choice = state.Explain.LAYERS._replace(key=f"{_KEY}.{view}")
    state.from_url(choice, lambda text: [layer for layer in layers if str(layer) in text.split(",")] or None)
    st.session_state[choice.key] = [layer for layer in st.session_state.get(choice.key, fitting) if layer in layers]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.multiselect(
            _("Layers"),
            layers,
            key=choice.key,
            help=_("0 is next to the input. Fewer layers make the picture smaller."),
            placeholder=_("all"),
        )
        hide_special = view != "neuron" and st.toggle(
            _("Hide special tokens"),
            key="explain.special",
            help=_("Tokens that the tokenizer adds, such as {tokens}.").format(tokens="`[CLS]`, `[SEP]`"),
        )
    state.to_url(choice, ",".join(map(str, chosen)) if chosen != fitting else "")
    return chosen, bool(hide_special)


def _fitting(layers: list[int], checks: Sequence[Check]) -> list[int]:
    """All layers, or as many of the last ones as can be drawn."""
    fitting = list(layers)
    while len(fitting) > 1 and any(check(fitting) for check in checks):
        fitting = fitting[1:]
    return fitting


# -- our own --------------------------------------------------------------------------------------------------------


def show_canvas(sides: list[Side], kind: str = "encoder") -> None:
    """Show all heads; of two sides one of them, their difference, or both in turn.

    Args:
        sides: one or two.
        kind: see :meth:`Side.attention`.
    """
    attentions = [side.attention(kind) for side in sides]
    theme = st.context.theme.type or "auto"
    height = _CANVAS_HEIGHT + (_MAPS_HEIGHT if attentions[0].layers > 16 else 0)
    if len(sides) == 1:
        (attention,) = attentions
        source = _source(sides[0].key + kind, attention)
        page = canvas.canvas_view(attention, source=source, theme=theme, title=_("All heads"))
        st.iframe(page, height=height)
        return
    first, second = _aligned(*attentions)
    keys = [f"{sides[0].key} {sides[1].key} {kind} {index}" for index in (0, 1)]
    sources = [_source(key, attention) for key, attention in zip(keys, (first, second), strict=True)]
    page = canvas.comparison_view(
        first,
        second,
        (sides[0].name, sides[1].name),
        sources=(sources[0], sources[1]) if sources[0] and sources[1] else None,
        theme=theme,
        title=_("All heads of both"),
    )
    st.iframe(page, height=height)
    difference = figure.page([maps.difference_map(first, second)], theme=theme, title=_("Difference"))
    st.iframe(difference, height=150 + 30 * first.layers)


def _aligned(first: Attention, second: Attention) -> tuple[Attention, Attention]:
    return (first, second) if first.tokens == second.tokens else align_attention(first, second)


def _source(key: str, attention: Attention) -> str | None:
    """Return the address of the heads; None if they are small enough to be sent with the page."""
    if attention.weights.size <= _MAX_INLINE:
        return None
    address: str | None = session_cache.get("heads", key)
    if address and heads.STORE.has(address):
        return address
    return session_cache.put(heads.STORE.add(attention), "heads", key)
