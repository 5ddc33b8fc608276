"""Our own view of attention, for long texts: every head as a small map, one head large, as a matrix or as arcs.

A stand-alone HTML document without any library, drawn on a canvas (``canvas.js``). A weight w travels as one byte, the
root of it (round(255 sqrt(w))): small weights, which are most, keep their differences, and no weight is off by more
than 0.004. Each head is compressed by itself and unpacked when it is looked at.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.errors import RequestError
from workbench.explain.attention_difference import divergence
from workbench.explain.capture import Attention
from workbench.explain.render.assets import escape_script

Theme = Literal["auto", "light", "dark"]

MAP = 64  # pixels of a small map, at most
LONGEST_NAME = 400  # characters of a token that travel
_THREADS = 2


def as_bytes(weights: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Weights (0 to 1) as one byte each: the root, so that small ones can be told apart."""
    roots = np.sqrt(np.clip(weights, 0, 1, dtype=np.float32))
    roots *= 255
    values: NDArray[np.uint8] = np.rint(roots, out=roots).astype(np.uint8)
    return values


def from_bytes(values: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What :func:`as_bytes` has kept of the weights."""
    weights: NDArray[np.float32] = np.square(values.astype(np.float32) / np.float32(255))
    return weights


def small_map(values: NDArray[np.uint8], size: int = MAP) -> NDArray[np.uint8]:
    """A head's [T, T] as at most [size, size]: the greatest weight of each block, so that a single line is seen."""
    count = len(values)
    if count <= size:
        return values
    starts = np.linspace(0, count, size, endpoint=False).astype(int)
    small: NDArray[np.uint8] = np.maximum.reduceat(np.maximum.reduceat(values, starts, axis=0), starts, axis=1)
    return small


def packed_head(attention: Attention, layer: int, head: int) -> bytes:
    """One head's weights as bytes, deflated (zlib): what the page asks for where it does not hold the head itself."""
    return packed(as_bytes(attention.weights[layer, head]))


def packed(values: NDArray[np.uint8]) -> bytes:
    """A head's bytes, deflated without a search for repeats but runs: attention is noise with runs of near 0.

    So it is small too. Of a random BERT's 512 tokens: 20% smaller than zlib's usual strategy, and in half the time.
    """
    packer = zlib.compressobj(4, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    return packer.compress(values.tobytes()) + packer.flush()


def canvas_view(
    attention: Attention,
    *,
    layer: int | None = None,
    head: int = 0,
    source: str | None = None,
    theme: Theme = "auto",
    title: str = "Attention",
) -> str:
    """The page.

    Args:
        attention: what to draw; its words are needed to merge word pieces.
        layer, head: shown large at first; by default the first head of the last layer.
        source: where a server gives :func:`packed_head` at ``SOURCE/LAYER/HEAD``: the page then holds the small maps
            and the first head only, and asks for others when they are looked at. By default it holds all and asks for
            nothing.
        theme: light, dark, or as the browser wants it.
        title: of the document.

    Returns:
        A whole HTML document.

    Raises:
        RequestError: there is no such layer or head.
    """
    layer = _place(attention, layer, head)
    data = _facts(attention, layer, head, source)
    data["maps"], blocks = _side(attention, "", None if source is None else (layer, head))
    return _document(data, blocks, _caption(attention), title, theme, source is not None)


def comparing_view(
    first: Attention,
    second: Attention,
    names: tuple[str, str],
    *,
    layer: int | None = None,
    head: int = 0,
    sources: tuple[str, str] | None = None,
    theme: Theme = "auto",
    title: str = "Attention of two",
) -> str:
    """The page for two: the one, the other, both in turn (blinking), or where the second looks more or less.

    Args:
        first, second: over as many tokens, of as many layers and heads: one text in two models, or two texts whose
            tokens were aligned (:func:`workbench.explain.render.side_by_side.align_attention`).
        names: of the two, for people.
        layer, head, theme, title: as for :func:`canvas_view`.
        sources: where a server gives the heads of each.

    Raises:
        RequestError: the two are not of one shape, or there is no such layer or head.
    """
    if first.weights.shape != second.weights.shape:
        raise RequestError(
            f"The two differ in shape: {first.weights.shape} and {second.weights.shape} "
            "(layers, heads, tokens, tokens).",
            "Compare runs of one model, and texts whose tokens are aligned.",
        )
    layer = _place(first, layer, head)
    only = None if sources is None else (layer, head)
    data = _facts(first, layer, head, None if sources is None else sources[0])
    data["name"] = names[0]
    data["maps"], blocks = _side(first, "", only)
    maps, others = _side(second, "1-", only)
    data["second"] = {
        "name": names[1],
        "source": None if sources is None else sources[1],
        "maps": maps,
        "difference": _differences(first, second),
        "most": float(f"{np.abs(second.weights - first.weights).max():.3g}"),  # has the strongest colour
    }
    return _document(data, [*blocks, *others], _comparing_caption(first, second, names), title, theme, bool(sources))


def _place(attention: Attention, layer: int | None, head: int) -> int:
    """The layer that is shown first. Raises RequestError where there is no such layer or head."""
    layer = attention.layers - 1 if layer is None else layer
    for what, given, there in (("layer", layer, attention.layers), ("head", head, attention.heads)):
        if not 0 <= given < there:
            raise RequestError(f"There is no {what} {given}.", f"Choose one from 0 to {there - 1}.")
    return layer


def _side(attention: Attention, prefix: str, only: tuple[int, int] | None) -> tuple[str, list[str]]:
    """All small maps, and an element for each head that travels: all of them, or ``only`` one."""
    places = list(np.ndindex(attention.layers, attention.heads))

    def work(place: tuple[int, int]) -> tuple[bytes, str | None]:
        values = as_bytes(attention.weights[place])
        travels = only is None or place == only
        return small_map(values).tobytes(), _base64(packed(values)) if travels else None

    with ThreadPoolExecutor(_THREADS) as pool:  # zlib and numpy let go of the interpreter
        done = list(pool.map(work, places))
    blocks = [
        f'<script type="text/plain" data-head="{prefix}{a}-{b}">{inside}</script>'
        for (a, b), (_, inside) in zip(places, done, strict=True)
        if inside is not None
    ]
    return _base64(zlib.compress(b"".join(small for small, _ in done), 9)), blocks


def _differences(first: Attention, second: Attention) -> str:
    """The small maps of the second less the first: of each block the change that is greatest either way."""
    found = []
    for place in np.ndindex(first.layers, first.heads):
        change = second.weights[place] - first.weights[place]
        more, less = small_map(as_bytes(change)).astype(np.int16), small_map(as_bytes(-change)).astype(np.int16)
        signed = np.where(more >= less, more, -less)  # -255 to 255, the root with its sign
        found.append((128 + np.rint(signed * (127 / 255))).astype(np.uint8).tobytes())
    return _base64(zlib.compress(b"".join(found), 9))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _facts(attention: Attention, layer: int, head: int, source: str | None) -> dict[str, Any]:
    count = len(attention.tokens)
    return {
        "layers": attention.layers,
        "heads": attention.heads,
        "tokens": [name[:LONGEST_NAME] for name in attention.shown],
        "special": [int(one) for one in attention.special],
        "words": _words(attention),
        "mapSize": min(count, MAP),
        "layer": layer,
        "head": head,
        "causal": attention.is_causal,
        "source": source,
    }


def _words(attention: Attention) -> list[int]:
    """A number for each token, the same for neighbours of one word; special tokens stand alone."""
    numbers: list[int] = []
    last: tuple[Any, Any] | None = None
    words = attention.words or [None] * len(attention.tokens)
    for segment, word in zip(attention.segments, words, strict=True):
        key = (segment, word)
        same = word is not None and segment is not None and key == last
        numbers.append(numbers[-1] if same else len(numbers))
        last = key
    return numbers


def _caption(attention: Attention) -> str:
    notes = "".join(f" {note}" for note in attention.notes)
    return (
        f"{attention.layers} layers with {attention.heads} heads over {len(attention.tokens)} tokens. A row of a map "
        "is a token that looks, a column a token that is looked at; brighter is more. Attention shows where a head "
        f"looks, not why the model decides.{notes}"
    )


def _comparing_caption(first: Attention, second: Attention, names: tuple[str, str]) -> str:
    moved = divergence(first.weights, second.weights)
    layer, head = np.unravel_index(int(moved.argmax()), moved.shape)
    notes = "".join(f" {note}" for note in dict.fromkeys([*first.notes, *second.notes]))
    return (
        f"{first.layers} layers with {first.heads} heads over {len(first.tokens)} tokens, in \u2068{names[0]}\u2069 "
        f"and in \u2068{names[1]}\u2069. Difference: blue where the second looks more, orange where less. The head "
        f"that moved most is head {head} of layer {layer} ({moved[layer, head]:.3f} of 1, Jensen-Shannon divergence). "
        f"A head that moved need not matter for the decision.{notes}"
    )


def _document(data: dict[str, Any], blocks: list[str], caption: str, title: str, theme: Theme, asks: bool) -> str:
    here = files(__package__)
    script = escape_script((here / "canvas.js").read_text(encoding="utf-8"))
    style = (here / "canvas.css").read_text(encoding="utf-8")
    body = (here / "canvas.html").read_text(encoding="utf-8").replace("CAPTION", html.escape(caption))
    facts = json.dumps(data).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    # Only this very script may run; nothing may be requested but, where the heads come from a server, these.
    digest = _base64(hashlib.sha256(script.encode()).digest())
    connect = "connect-src 'self'; " if asks else ""
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src blob: data:; {connect}"
        "base-uri 'none'; form-action 'none'"
    )
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en" data-theme="{theme}">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            body,
            f'<script type="application/json" id="data">{facts}</script>',
            *blocks,
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )
