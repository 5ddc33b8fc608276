"""Our own view of attention, for long texts: every head as a small map, one head large, as a matrix or as arcs.

A stand-alone HTML document without any library, drawn on a canvas (``canvas.js``). A weight w is sent as one byte, its
root (round(255 sqrt(w))): small weights, which are most, keep their differences, and no weight is off by more than
0.004. Each head is compressed on its own and decompressed when it is shown.
"""

from __future__ import annotations

import base64
import html
import json
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Literal, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from workbench.errors import RequestError
from workbench.explain.capture import Attention
from workbench.explain.internals.attention_difference import jensen_shannon
from workbench.explain.render.assets import escape_script
from workbench.page_policy import policy_tag
from workbench.types import Floats32

Theme = Literal["auto", "light", "dark"]
Bytes: TypeAlias = NDArray[np.uint8]

MAP = 64  # largest size of a small map, in pixels
LONGEST_NAME = 400  # characters of a token that are sent
_THREADS = 2


def as_bytes(weights: NDArray[np.floating]) -> Bytes:
    """Encode weights as one byte each, by their root, so that small ones stay distinct.

    Args:
        weights: any shape, 0 to 1.
    """
    roots = np.sqrt(np.clip(weights, 0, 1, dtype=np.float32))
    roots *= 255
    values: Bytes = np.rint(roots, out=roots).astype(np.uint8)
    return values


def from_bytes(values: Bytes) -> Floats32:
    """Decode weights that :func:`as_bytes` has encoded.

    Args:
        values: any shape.
    """
    weights: Floats32 = np.square(values.astype(np.float32) / np.float32(255))
    return weights


def small_map(values: Bytes, size: int = MAP) -> Bytes:
    """Shrink a head's map by the greatest weight of each block, so that a single line stays visible.

    Args:
        values: [T, T].
        size: the largest size of the result.

    Returns:
        At most [size, size].
    """
    count = len(values)
    if count <= size:
        return values
    starts = np.linspace(0, count, size, endpoint=False).astype(int)
    small: Bytes = np.maximum.reduceat(np.maximum.reduceat(values, starts, axis=0), starts, axis=1)
    return small


def packed_head(attention: Attention, layer: int, head: int) -> bytes:
    """Return one head's weights, encoded and compressed: the answer to a page that requests the head.

    Args:
        attention: all heads.
        layer: index of the layer.
        head: index of the head.
    """
    return packed(as_bytes(attention.weights[layer, head]))


def packed(values: Bytes) -> bytes:
    """Compress a head with zlib's run-length strategy: attention is noise with runs of values near 0.

    For 512 tokens of a random BERT this is 20% smaller than zlib's usual strategy, and takes half the time.

    Args:
        values: [T, T].
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
    """Return the page.

    Args:
        attention: what to draw; its words are needed to merge subwords.
        layer: the layer that is large at first; by default the last.
        head: the head that is large at first.
        source: the address at which a server answers ``SOURCE/LAYER/HEAD`` with :func:`packed_head`. The page then
            contains the small maps and the first head only, and requests others when they are shown. By default it
            contains all heads and requests nothing.
        theme: light, dark, or the browser's own.
        title: title of the document.

    Returns:
        A whole HTML document.

    Raises:
        RequestError: there is no such layer or head.
    """
    layer = _first_layer(attention, layer, head)
    maps, blocks = _maps_and_heads(attention, "", None if source is None else (layer, head))
    data = _data(attention, layer, head, source, maps)
    return _document(data, blocks, _caption(attention), title, theme, source is not None)


def comparison_view(
    first: Attention,
    second: Attention,
    names: tuple[str, str],
    *,
    layer: int | None = None,
    head: int = 0,
    sources: tuple[str, str] | None = None,
    theme: Theme = "auto",
    title: str = "Two attentions",
) -> str:
    """Return the page for two attentions: either one, both in turn (blinking), or their difference.

    Args:
        first: over some tokens.
        second: over as many tokens, of as many layers and heads: the same text in another model, or another text that
            was aligned (:func:`workbench.explain.internals.alignment.align_attention`).
        names: readable names of the two.
        layer: the layer that is large at first; by default the last.
        head: the head that is large at first.
        sources: the addresses at which a server answers with the heads of each.
        theme: light, dark, or the browser's own.
        title: title of the document.

    Raises:
        RequestError: the two differ in shape, or there is no such layer or head.
    """
    if first.weights.shape != second.weights.shape:
        raise RequestError(
            f"The two differ in shape: {first.weights.shape} and {second.weights.shape} "
            "(layers, heads, tokens, tokens).",
            "Compare runs of one model, and texts whose tokens are aligned.",
        )
    layer = _first_layer(first, layer, head)
    only = None if sources is None else (layer, head)
    maps, blocks = _maps_and_heads(first, "", only)
    second_maps, second_blocks = _maps_and_heads(second, "1-", only)
    data = _data(first, layer, head, None if sources is None else sources[0], maps)
    comparison = _Second(
        name=names[1],
        source=None if sources is None else sources[1],
        maps=second_maps,
        difference=_difference_maps(first, second),
        most=float(f"{np.abs(second.weights - first.weights).max():.3g}"),  # the strongest colour
    )
    document_data = {**data, "name": names[0], "second": comparison}
    caption = _comparison_caption(first, second, names)
    return _document(document_data, [*blocks, *second_blocks], caption, title, theme, bool(sources))


def _first_layer(attention: Attention, layer: int | None, head: int) -> int:
    """Return the layer that is shown first. Raises RequestError where there is no such layer or head."""
    layer = attention.layers - 1 if layer is None else layer
    for kind, index, count in (("layer", layer, attention.layers), ("head", head, attention.heads)):
        if not 0 <= index < count:
            raise RequestError(f"There is no {kind} {index}.", f"Choose one from 0 to {count - 1}.")
    return layer


def _maps_and_heads(attention: Attention, prefix: str, only: tuple[int, int] | None) -> tuple[str, list[str]]:
    """Return all small maps, and an element for each head that is sent: all of them, or ``only`` one."""
    indices = list(np.ndindex(attention.layers, attention.heads))

    def work(index: tuple[int, int]) -> tuple[bytes, str | None]:
        values = as_bytes(attention.weights[index])
        sent = only is None or index == only
        return small_map(values).tobytes(), _base64(packed(values)) if sent else None

    with ThreadPoolExecutor(_THREADS) as pool:  # zlib and numpy release the interpreter's lock
        results = list(pool.map(work, indices))
    blocks = [
        f'<script type="text/plain" data-head="{prefix}{a}-{b}">{content}</script>'
        for (a, b), (_, content) in zip(indices, results, strict=True)
        if content is not None
    ]
    return _base64(zlib.compress(b"".join(small for small, _ in results), 9)), blocks


def _difference_maps(first: Attention, second: Attention) -> str:
    """Return small maps of the second less the first: of each block the greatest change in either direction."""
    maps = []
    for index in np.ndindex(first.layers, first.heads):
        change = second.weights[index] - first.weights[index]
        more, less = small_map(as_bytes(change)).astype(np.int16), small_map(as_bytes(-change)).astype(np.int16)
        signed = np.where(more >= less, more, -less)  # -255 to 255, the root with its sign
        maps.append((128 + np.rint(signed * (127 / 255))).astype(np.uint8).tobytes())
    return _base64(zlib.compress(b"".join(maps), 9))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


class _Data(TypedDict):
    layers: int
    heads: int
    tokens: list[str]
    special: list[int]
    words: list[int]
    mapSize: int
    layer: int
    head: int
    causal: bool
    source: str | None
    maps: str


class _Second(TypedDict):
    name: str
    source: str | None
    maps: str
    difference: str
    most: float


def _data(attention: Attention, layer: int, head: int, source: str | None, maps: str) -> _Data:
    return _Data(
        layers=attention.layers,
        heads=attention.heads,
        tokens=[name[:LONGEST_NAME] for name in attention.shown],
        special=[int(special) for special in attention.special],
        words=_words(attention),
        mapSize=min(len(attention.tokens), MAP),
        layer=layer,
        head=head,
        causal=attention.is_causal,
        source=source,
        maps=maps,
    )


def _words(attention: Attention) -> list[int]:
    """Return a number for each token, the same for neighbours of one word; special tokens have their own."""
    numbers: list[int] = []
    last: tuple[int | None, int | None] | None = None
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
        f"{attention.layers} layers with {attention.heads} heads over {len(attention.tokens)} tokens. Rows are tokens "
        "that attend, columns tokens that are attended to; brighter is more. Attention shows where a head looks, not "
        f"why the model decides.{notes}"
    )


def _comparison_caption(first: Attention, second: Attention, names: tuple[str, str]) -> str:
    divergence = jensen_shannon(first.weights, second.weights)
    layer, head = np.unravel_index(int(divergence.argmax()), divergence.shape)
    notes = "".join(f" {note}" for note in dict.fromkeys([*first.notes, *second.notes]))
    return (
        f"{first.layers} layers with {first.heads} heads over {len(first.tokens)} tokens, in \u2068{names[0]}\u2069 "
        f"and in \u2068{names[1]}\u2069. Difference: blue where the second attends more, orange where less. The most "
        f"different head is head {head} of layer {layer} ({divergence[layer, head]:.3f} of 1, Jensen-Shannon "
        f"divergence). A head that differs need not matter for the decision.{notes}"
    )


def _document(
    data: Mapping[str, object], blocks: list[str], caption: str, title: str, theme: Theme, requests: bool
) -> str:
    folder = files(__package__)
    script = escape_script((folder / "canvas.js").read_text(encoding="utf-8"))
    style = (folder / "canvas.css").read_text(encoding="utf-8")
    body = (folder / "canvas.html").read_text(encoding="utf-8").replace("CAPTION", html.escape(caption))
    encoded = json.dumps(data).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    # The script may request nothing but, where the heads come from a server, these.
    policy = policy_tag([script], images=True, requests=requests)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en" data-theme="{theme}">',
            "<head>",
            '<meta charset="utf-8">',
            policy,
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            body,
            f'<script type="application/json" id="data">{encoded}</script>',
            *blocks,
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )
