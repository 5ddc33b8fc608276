"""Maps over layers and heads: the pattern that a head follows, its importance, how differently it attends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from workbench.explain.capture import Attention
from workbench.explain.internals.aggregates import HeadPatterns
from workbench.explain.internals.attention_difference import AttentionDivergence, jensen_shannon
from workbench.explain.internals.heads import HeadImportance
from workbench.explain.render.figure import (
    Figure,
    diverging,
    escape,
    readable_on,
    sequential,
    short_number,
    shortened,
    text,
)

Rows = Sequence[Sequence[float]]

_LEFT, _TOP, _CELL = 52, 56, 30
_SCALE = 150  # pixels of the colour scale
# A letter distinguishes patterns where colour does not. The colours are Okabe and Ito's, made for the colour-blind.
PATTERN_LOOKS = {
    "previous token": ("P", "#56b4e9"),
    "next token": ("N", "#009e73"),
    "first token": ("F", "#e69f00"),
    "separator": ("S", "#f0e442"),
    "same word": ("W", "#cc79a7"),
    "induction": ("I", "#d55e00"),
}


def head_map(
    values: Rows,
    title: str,
    unit: str,
    *,
    signed: bool = False,
    most: float | None = None,
    marks: Mapping[tuple[int, int], str] | None = None,
) -> Figure:
    """Draw a number for each head as a colour.

    Args:
        values: [layers][heads].
        title: title of the figure.
        unit: unit of the numbers, shown below the scale: "bits", "fall of the probability".
        signed: draw numbers from orange (below 0) over white to blue.
        most: the number with the strongest colour; by default the greatest.
        marks: letters in some cells, by (layer, head).
    """
    numbers = np.asarray(values, dtype=np.float64)
    greatest = float(np.abs(numbers).max()) if most is None else most
    scale = greatest or 1.0
    cells = []
    for (layer, head), value in np.ndenumerate(numbers):
        colour = diverging(value / scale) if signed else sequential(value / scale)
        mark = (marks or {}).get((layer, head), "")
        cells.append(_cell(layer, head, colour, f"layer {layer}, head {head}: {value:.4g} {unit}", mark))
    low, high = (-scale, scale) if signed else (0.0, scale)
    layers, heads = numbers.shape
    body = [*_axes(layers, heads, title), *cells, _scale(layers, low, high, unit, signed)]
    layer, head = np.unravel_index(int(np.abs(numbers).argmax()), numbers.shape)
    description = f"{layers} layers with {heads} heads; the greatest is head {head} of layer {layer}: "
    description += f"{numbers[layer, head]:.3g} {unit}"
    return Figure(_width(heads, title), _TOP + layers * _CELL + 58, "".join(body), title, description)


def pattern_map(result: HeadPatterns) -> Figure:
    """Draw the known pattern that each head follows, a letter and a colour each; other heads are empty.

    Args:
        result: what was measured.
    """
    layers, heads = np.asarray(result.entropy).shape
    title = "Patterns that heads follow"
    named = {(entry["layer"], entry["head"]): entry for entry in reversed(result.named)}  # the clearest wins
    cells = []
    for layer, head in np.ndindex(layers, heads):
        entry = named.get((layer, head))
        if entry is None:
            cells.append(_cell(layer, head, "", f"layer {layer}, head {head}: none of the known patterns"))
            continue
        letter, colour = PATTERN_LOOKS[entry["pattern"]]
        tooltip = f"layer {layer}, head {head}: {entry['pattern']} ({entry['share']:.0%} of its attention; "
        cells.append(_cell(layer, head, colour, f"{tooltip}uniform attention: {entry['even']:.0%})", letter))
    present = [name for name in PATTERN_LOOKS if any(entry["pattern"] == name for entry in named.values())]
    legend, y = [], _TOP + layers * _CELL + 22
    for index, name in enumerate(present):
        letter, colour = PATTERN_LOOKS[name]
        x, row = _LEFT + 150 * (index % 2), y + 22 * (index // 2)
        legend.append(_box(x, row - 13, 18, colour, letter, 11))
        legend.append(text(x + 25, row + 1, name, "quiet"))
    if not present:
        legend.append(text(_LEFT, y, "no head follows a known pattern", "quiet"))
    counts = ", ".join(f"{sum(entry['pattern'] == name for entry in named.values())} {name}" for name in present)
    description = f"{layers} layers with {heads} heads; {counts or 'none follows a known pattern'}"
    height = _TOP + layers * _CELL + 30 + 22 * ((len(present) + 1) // 2)
    width = max(_width(heads, title), _LEFT + 310)
    return Figure(width, height, "".join([*_axes(layers, heads, title), *cells, *legend]), title, description)


def importance_map(result: HeadImportance) -> Figure:
    """Draw the importance of each head.

    Args:
        result: what was measured.
    """
    if result.measure == "ablation":
        return head_map(result.importance, "Loss without each head", "fall of the label's probability", signed=True)
    return head_map(result.importance, "Gradient of each head", "size of the gradient")


def divergence_map(result: AttentionDivergence) -> Figure:
    """Draw how differently each head of two models attends.

    Args:
        result: what was measured.
    """
    return head_map(result.divergence, "Attention divergence of each head", "Jensen-Shannon divergence")


def difference_map(first: Attention, second: Attention) -> Figure:
    """Draw how differently each head attends to one text.

    Args:
        first: attention over some tokens.
        second: attention over as many tokens, of as many layers and heads.
    """
    divergence = jensen_shannon(first.weights, second.weights)
    return head_map(divergence.tolist(), "Attention divergence of each head", "Jensen-Shannon divergence")


# -- parts ----------------------------------------------------------------------------------------------------------


def _width(heads: int, title: str) -> float:
    return max(_LEFT + heads * _CELL + 14, _LEFT + _SCALE + 60, 16 + 8 * len(title))


def _axes(layers: int, heads: int, title: str) -> list[str]:
    every = 1 if heads <= 32 else 4
    columns = [
        text(_LEFT + (head + 0.5) * _CELL, _TOP - 8, str(head), "quiet", "middle", 11)
        for head in range(0, heads, every)
    ]
    rows = [
        text(_LEFT - 8, _TOP + (layer + 0.5) * _CELL + 4, str(layer), "quiet", "end", 11) for layer in range(layers)
    ]
    middle = _TOP + layers * _CELL / 2
    turned = f'<g transform="rotate(-90 14 {middle:g})">{text(14, middle, "layer", "quiet", "middle", 11)}</g>'
    head_label = text(_LEFT, _TOP - 24, "head", "quiet", "start", 11)
    return [text(2, 16, title, "ink", "start", 14), head_label, *columns, *rows, turned]


def _cell(layer: int, head: int, colour: str, tooltip: str, letter: str = "") -> str:
    box = _box(_LEFT + head * _CELL + 1, _TOP + layer * _CELL + 1, _CELL - 2, colour, letter, 13)
    return f"<g>{box}<title>{escape(tooltip)}</title></g>"


def _box(x: float, y: float, size: float, colour: str, letter: str, letters: float) -> str:
    fill = f'fill="{colour}"' if colour else 'class="grid hit"'
    box = f'<rect x="{x:g}" y="{y:g}" width="{size:g}" height="{size:g}" rx="3" {fill}/>'
    if not letter:
        return box
    return box + (
        f'<text x="{x + size / 2:g}" y="{y + size / 2 + 0.36 * letters:g}" text-anchor="middle" '
        f'font-size="{letters:g}" font-weight="600" fill="{readable_on(colour)}">{escape(letter)}</text>'
    )


def _scale(layers: int, low: float, high: float, unit: str, signed: bool) -> str:
    """Draw the colours, with the numbers at their ends."""
    x, y, steps = _LEFT, _TOP + layers * _CELL + 14, 50
    parts = []
    for step in range(steps):
        share = (step + 0.5) / steps
        colour = diverging(2 * share - 1) if signed else sequential(share)
        width = _SCALE / steps + 0.4  # no seam between two
        parts.append(f'<rect x="{x + step * _SCALE / steps:g}" y="{y}" width="{width:g}" height="10" fill="{colour}"/>')
    numbers = [(0.0, low), (0.5, (low + high) / 2), (1.0, high)] if signed else [(0.0, low), (1.0, high)]
    parts += [text(x + share * _SCALE, y + 24, short_number(v), "quiet", "middle", 11) for share, v in numbers]
    parts.append(text(x, y + 40, shortened(unit, 60), "quiet", "start", 11))
    return "".join(parts)
