"""Figures of a faithfulness evaluation: the probability as tokens are masked (deletion) or shown (insertion)."""

from __future__ import annotations

from workbench.explain.checks import Curves
from workbench.explain.render.figure import Figure, escape, shortened, text

_LEFT, _TOP, _WIDTH, _HEIGHT = 46, 40, 330, 190
_ORDERS = {
    "": ("one", "in the order of the explanation"),
    "random_": ("two", "in random order"),
    "attention_": ("three", "in the order of raw attention"),
}
_KINDS = {
    "deletion": ("Tokens masked, the most important first", "share of the text masked", "lower is better"),
    "insertion": ("Tokens shown, the most important first", "share of the text shown", "higher is better"),
}


def faithfulness_curves(curves: Curves | None, label: str) -> list[Figure]:
    """Draw deletion and insertion, a figure each.

    Args:
        curves: what was measured; without it there are no figures.
        label: the label whose probability it is.
    """
    return [] if curves is None else [_figure(curves, kind, label) for kind in _KINDS]


def _figure(curves: Curves, kind: str, label: str) -> Figure:
    title, axis, better = _KINDS[kind]
    lines, legend, averages = [], [], []
    present = [(f"{order}{kind}", *look) for order, look in _ORDERS.items() if f"{order}{kind}" in curves.lines]
    for row, (name, look, words) in enumerate(present):
        area = curves.areas[name]
        lines.append(_line(curves.shares, curves.lines[name], look, words))
        y = _TOP + _HEIGHT + 58 + 18 * row
        legend.append(f'<path class="{look}" d="M{_LEFT} {y - 4}h34"/>')
        legend.append(text(_LEFT + 42, y, f"{words}: {area:.2f} on average", "quiet"))
        averages.append(f"{words} {area:.2f} on average")
    body = [text(2, 16, title, "ink", "start", 14), *_axes(axis, label, better), *reversed(lines), *legend]
    height = _TOP + _HEIGHT + 58 + 18 * len(present)
    description = f"Probability of {label}: {'; '.join(averages)}"
    return Figure(_LEFT + _WIDTH + 16, height, "".join(body), title, description)


def _point(share: float, value: float) -> tuple[float, float]:
    return _LEFT + share * _WIDTH, _TOP + (1 - min(1.0, max(0.0, value))) * _HEIGHT


def _line(shares: list[float], values: list[float], look: str, words: str) -> str:
    points = [_point(share, value) for share, value in zip(shares, values, strict=True)]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dots = "".join(
        f'<g><circle class="{look}-dot" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>'
        f'<circle class="hit" cx="{x:.1f}" cy="{y:.1f}" r="8"/>'
        f"<title>{escape(words)}, {share:.0%}: {value:.3f}</title></g>"
        for (x, y), share, value in zip(points, shares, values, strict=True)
    )
    return f'<path class="{look}" d="{path}"/>{dots}'


def _axes(axis: str, label: str, better: str) -> list[str]:
    parts = []
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        _, y = _point(0, value)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:g}h{_WIDTH}"/>')
        parts.append(text(_LEFT - 6, y + 4, f"{value:g}", "quiet", "end", 11))
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x, y = _point(share, 0)
        parts.append(text(x, y + 16, f"{share:.0%}", "quiet", "middle", 11))
    parts.append(text(_LEFT, _TOP - 8, f"probability of {shortened(label, 30)}, {better}", "quiet", "start", 11))
    parts.append(text(_LEFT + _WIDTH / 2, _TOP + _HEIGHT + 34, axis, "quiet", "middle", 11))
    return parts
