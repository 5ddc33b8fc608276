"""Maps over layers and tokens: the importance of each state of a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.explain.internals.patching import Patching
from workbench.explain.render.figure import Figure, diverging, escape, shortened, text
from workbench.explain.render.maps import head_map

_LEFT, _TOP, _WIDE, _HIGH = 96, 40, 30, 22
_LETTERS = 14


def patching_maps(result: Patching) -> list[Figure]:
    """Draw activation patching: a map over layers and tokens, and one over layers and heads.

    Args:
        result: what was measured.
    """
    figures = [position_map(result.positions, result.tokens, "State of a layer at a token", "of the difference")]
    if result.heads:
        figures.append(head_map(result.heads, "Output of a head", "of the difference", signed=True))
    return figures


def position_map(values: Sequence[Sequence[float]], tokens: Sequence[str], title: str, unit: str) -> Figure:
    """Draw a number for each layer (from the left) and token (from the top), from orange over white to blue.

    Args:
        values: [layers + 1][tokens]; the first row is the embeddings.
        tokens: their names.
        title: title of the figure.
        unit: unit of the numbers.
    """
    numbers = np.asarray(values, dtype=np.float64)
    scale = float(np.abs(numbers).max()) or 1.0
    body = [text(2, 16, title, "ink", "start", 14)]
    for layer in range(len(numbers)):
        body.append(text(_LEFT + (layer + 0.5) * _WIDE, _TOP - 6, str(layer), "quiet", "middle", 11))
    for position, name in enumerate(tokens):
        y = _TOP + position * _HIGH
        body.append(text(_LEFT - 6, y + 15, shortened(name, _LETTERS), "ink", "end", 11))
        for layer, row in enumerate(numbers):
            state = "embeddings" if layer == 0 else f"after layer {layer}"
            tooltip = f"{name}, {state}: {row[position]:.3g} {unit}"
            body.append(
                f'<rect x="{_LEFT + layer * _WIDE}" y="{y}" width="{_WIDE - 1}" height="{_HIGH - 1}" '
                f'fill="{diverging(row[position] / scale)}"><title>{escape(tooltip)}</title></rect>'
            )
    bottom = _TOP + len(tokens) * _HIGH
    body.append(text(_LEFT, bottom + 18, f"across: layers; blue: up to {scale:.2g} {unit}", "quiet"))
    layer, position = map(int, np.unravel_index(int(np.abs(numbers).argmax()), numbers.shape))
    description = f"the greatest is {tokens[position]} after layer {layer}: {numbers[layer, position]:.3g} {unit}"
    return Figure(max(_LEFT + len(numbers) * _WIDE + 16, 420), bottom + 30, "".join(body), title, description)
