"""A map over layers and tokens: how much each state of a model matters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.explain.render.figure import Figure, diverging, escape, shortened, text

_LEFT, _TOP, _WIDE, _HIGH = 96, 40, 30, 22
_LETTERS = 14


def position_map(values: Sequence[Sequence[float]], tokens: Sequence[str], title: str, what: str) -> Figure:
    """A number for each layer (from the left) and token (from the top), from orange over white to blue.

    Args:
        values: [layers + 1][tokens]; the first row are the embeddings.
        tokens: their names.
        title: of the figure.
        what: the numbers are.
    """
    numbers = np.asarray(values, dtype=np.float64)
    scale = float(np.abs(numbers).max()) or 1.0
    body = [text(2, 16, title, "ink", "start", 14)]
    for layer in range(len(numbers)):
        body.append(text(_LEFT + (layer + 0.5) * _WIDE, _TOP - 6, str(layer), "quiet", "middle", 11))
    for place, name in enumerate(tokens):
        y = _TOP + place * _HIGH
        body.append(text(_LEFT - 6, y + 15, shortened(name, _LETTERS), "ink", "end", 11))
        for layer, row in enumerate(numbers):
            said = f"{name}, {'embeddings' if layer == 0 else f'after layer {layer}'}: {row[place]:.3g} {what}"
            body.append(
                f'<rect x="{_LEFT + layer * _WIDE}" y="{y}" width="{_WIDE - 1}" height="{_HIGH - 1}" '
                f'fill="{diverging(row[place] / scale)}"><title>{escape(said)}</title></rect>'
            )
    bottom = _TOP + len(tokens) * _HIGH
    body.append(text(_LEFT, bottom + 18, f"across: layers; blue: up to {scale:.2g} {what}", "quiet"))
    layer, place = map(int, np.unravel_index(int(np.abs(numbers).argmax()), numbers.shape))
    words = f"the greatest is {tokens[place]} after layer {layer}: {numbers[layer, place]:.3g} {what}"
    return Figure(max(_LEFT + len(numbers) * _WIDE + 16, 420), bottom + 30, "".join(body), title, words)
