"""Attention as pictures: bertviz's head, model and neuron view, and our own view of all heads at any length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from dashboard import state
from dashboard.parts.shared import side_by_side
from dashboard.parts.shared.glossary import WORDS
from dashboard.parts.shared.side_by_side import Side
from dashboard.parts.shared.text import md
from dashboard.serving import heads
from workbench.explain.alignment import align_attention
from workbench.explain.capture import Attention
from workbench.explain.hooks import MODEL_LOCK
from workbench.explain.queries import QueriesKeys, capture_queries_keys
from workbench.explain.render import bertviz, canvas, figure, maps, neuron

READINGS = {
    "head": "Each line goes from a token (left) to one it looks at (right); a colour is a head, and stronger is more.",
    "model": "Every head of every layer at once: rows are layers, columns heads. A click shows one large.",
    "neuron": "Why a head looks where it looks: the numbers of its query and of the keys, multiplied and summed.",
    "canvas": "Every head as a small map, one of them large. It draws texts of any length that the model reads.",
}
KINDS = {
    "encoder": "over the text that is read",
    "decoder": "over the text that is written",
    "cross": "from the written text to the read one",
}
LIMITS = (
    "Attention shows where information could flow. It is no proof of why the model decides: a head may look at a word "
    "and not use it."
)
_INSIDE = 600_000  # bytes of weights that travel with the page; of more, heads are asked for one at a time
_HEADS_HEIGHT, _TOKEN_HEIGHT = 230, 23  # pixels of an attention view around its tokens, and of a token
_CANVAS_HEIGHT, _MAPS_HEIGHT = 860, 250
_NEURON_HEIGHT = 260
_KEYS = "explain.layers"


def show(both: list[Side], view: str) -> None:
    """One of the views, of one side or of two."""
    kind = _choose_kind() if both[0].writes_another and view != "neuron" else "encoder"
    if view == "canvas":
        st.caption(f"{READINGS['canvas']} {LIMITS}")
        show_canvas(both, kind)
    else:
        show_bertviz(both, view, kind)


def _choose_kind() -> str:
    """Which attention of a model that reads one text and writes another."""
    state.from_url(state.Explain.ATTENTION, lambda given: given if given in KINDS else None)
    st.session_state.setdefault(state.Explain.ATTENTION.key, "encoder")
    chosen = st.segmented_control(
        "Attention", list(KINDS), format_func=lambda name: KINDS[name], key=state.Explain.ATTENTION.key, required=True
    )
    state.to_url(state.Explain.ATTENTION, chosen if chosen != "encoder" else "")
    return str(chosen)


# -- bertviz --------------------------------------------------------------------------------------------------------


def show_bertviz(both: list[Side], view: str, kind: str = "encoder") -> None:
    """The head, model or neuron view; our own where a text is too long for it, which is said."""
    found = [side.attention(kind) for side in both]
    layers = list(range(min(one.layers for one in found)))
    whys = [_why_not(side, one, view) for side, one in zip(both, found, strict=True)]
    chosen, hide = _layers_and_special(layers, _that_fit(layers, whys), view)
    st.caption(f"{READINGS[view]} {LIMITS}", help=WORDS["attention"])
    shown = [one.without_special() if hide else one for one in found]
    whys = [_why_not(side, one, view) for side, one in zip(both, shown, strict=True)]
    why = next((said for tell in whys if (said := tell(chosen or layers))), None)
    if why:
        st.warning(f"{md(why, 400)} Below is the view of all heads instead.", icon=":material/zoom_in_map:")
        show_canvas(both, kind)
        return
    across = len(both) if view == "head" else 1  # the others need the whole width
    places = st.columns(across, gap="medium") if across > 1 else [st.container() for _ in both]
    for place, side, one in zip(places, both, found, strict=True):
        with place:
            if len(both) > 1:
                st.markdown(f"**{md(side.name, 80)}**")
            _draw(side, one, view, sorted(chosen or layers), hide)


def _draw(side: Side, attention: Attention, view: str, layers: list[int], hide: bool) -> None:
    theme = st.context.theme.type or "auto"
    count = len(attention.tokens)
    large = _HEADS_HEIGHT + _TOKEN_HEIGHT * count
    if view == "head":
        st.iframe(bertviz.head_view(attention, layers=layers, hide_special=hide, theme=theme), height=large)
    elif view == "model":
        page = bertviz.model_view(attention, layers=layers, hide_special=hide, theme=theme)
        row = 10 + count * 84 / attention.heads  # as bertviz makes its pictures
        st.iframe(page, height=int(max(large, _HEADS_HEIGHT + row * len(layers))))
    else:
        page = neuron.neuron_view(_queries(side), layers=layers, theme=theme)
        st.iframe(page, height=_NEURON_HEIGHT + _TOKEN_HEIGHT * count)


@st.cache_resource(max_entries=2, show_spinner="Reading queries and keys ...")
def _queries_of(key: str, _side: Side) -> QueriesKeys:
    read = _side.predictor
    with MODEL_LOCK:
        return capture_queries_keys(read.model, read.tokenizer, _side.text, _side.pair, read.max_length)


def _queries(side: Side) -> QueriesKeys:
    return _queries_of(side.key, side)


def _why_not(side: Side, attention: Attention, view: str) -> Callable[[Sequence[int]], str | None]:
    """Why the view does not draw these layers, asked before anything is drawn."""
    if view == "neuron":
        return lambda layers: neuron.why_not_drawn(_queries(side), len(layers))
    return lambda layers: bertviz.why_not_drawn(attention, "model" if view == "model" else "head", list(layers))


def _layers_and_special(layers: list[int], fitting: list[int], view: str) -> tuple[list[int], bool]:
    key = f"{_KEYS}.{view}"
    state.from_url(
        state.Explain.LAYERS._replace(key=key), lambda given: [i for i in layers if str(i) in given.split(",")] or None
    )
    kept = [layer for layer in st.session_state.get(key, fitting) if layer in layers]
    st.session_state[key] = kept
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.multiselect(
            "Layers", layers, key=key, help="0 is next to the input. Fewer make the picture smaller.", placeholder="all"
        )
        hide = view != "neuron" and st.toggle(
            "Hide special tokens", key="explain.special", help="[CLS] and [SEP], which the tokenizer adds."
        )
    state.to_url(state.Explain.LAYERS, ",".join(map(str, chosen)) if chosen != fitting else "")
    return chosen, bool(hide)


def _that_fit(layers: list[int], whys: list[Callable[[Sequence[int]], str | None]]) -> list[int]:
    """All layers, or as many of the last ones as can be drawn."""
    kept = list(layers)
    while len(kept) > 1 and any(tell(kept) for tell in whys):
        kept = kept[1:]
    return kept


# -- our own --------------------------------------------------------------------------------------------------------


def show_canvas(both: list[Side], kind: str = "encoder") -> None:
    """All heads; of two sides the one, the other, their difference, or both in turn."""
    found = [side.attention(kind) for side in both]
    theme = st.context.theme.type or "auto"
    height = _CANVAS_HEIGHT + (_MAPS_HEIGHT if found[0].layers > 16 else 0)
    if len(both) == 1:
        (attention,) = found
        source = _source(both[0].key + kind, attention)
        st.iframe(canvas.canvas_view(attention, source=source, theme=theme, title="All heads"), height=height)
        return
    first, second = _over_the_same_tokens(*found)
    keys = [f"{both[0].key} {both[1].key} {kind} {number}" for number in (0, 1)]
    sources = [_source(key, one) for key, one in zip(keys, (first, second), strict=True)]
    page = canvas.comparison_view(
        first,
        second,
        (both[0].name, both[1].name),
        sources=(sources[0], sources[1]) if sources[0] and sources[1] else None,
        theme=theme,
        title="All heads of two",
    )
    st.iframe(page, height=height)
    moved = figure.page([maps.difference_map(first, second)], theme=theme, title="Difference")
    st.iframe(moved, height=150 + 30 * first.layers)


def _over_the_same_tokens(first: Attention, second: Attention) -> tuple[Attention, Attention]:
    return (first, second) if first.tokens == second.tokens else align_attention(first, second)


def _source(key: str, attention: Attention) -> str | None:
    """Where the heads are asked for; None where they are so few numbers that they travel with the page."""
    if attention.weights.size <= _INSIDE:
        return None
    known = side_by_side.kept("heads", key)
    if known and heads.STORE.has(known):
        return str(known)
    return str(side_by_side.keep(heads.STORE.keep(attention), "heads", key))
