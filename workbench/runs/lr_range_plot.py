"""Plot of a learning-rate range test: loss over learning rate, with the suggestion, as an SVG without scripts."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator

from workbench.runs.documents import RangeTestResult

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 48, 58  # margins
INK, QUIET, GRID = "#24292F", "#8A939B", "#E3E6E8"
CURVE, MARK = "#0072B2", "#D55E00"  # distinguishable with every kind of colour vision

Point = tuple[float, float]


def range_svg(result: RangeTestResult, title: str = "Learning-rate range test") -> str:
    """Draw a range test. An exploding loss leaves the plot at the top: what matters is the range before.

    Args:
        result: result of the test.
        title: shown above the plot.

    Returns:
        An SVG document.
    """
    scale = _Scale(result)
    raw = [scale.point(rate, loss) for rate, loss in zip(result.rates, result.losses, strict=True)]
    smooth = [scale.point(rate, loss) for rate, loss in zip(result.rates, result.smoothed, strict=True)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="system-ui,sans-serif" font-size="13" role="img">',
        f"<title>{html.escape(title)}</title><desc>{html.escape(result.how)}</desc>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#FFFFFF"/>',
        f'<clipPath id="inside"><rect x="{LEFT}" y="{TOP}" width="{scale.width}" height="{scale.height}"/></clipPath>',
        _text(LEFT, 24, title, weight="600", size=15),
        *scale.axes(),
        '<g clip-path="url(#inside)">',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.8" fill="{QUIET}"/>' for x, y in raw),
        _line(smooth, CURVE),
        "</g>",
        *_mark(result, scale),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Scale:
    """Maps learning rates and losses to coordinates."""

    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def __init__(self, result: RangeTestResult) -> None:
        rates = result.rates or [1e-7, 1.0]
        self.first, self.last = math.log10(min(rates)), math.log10(max(rates))
        self.low, self.high = loss_limits(result)

    def x(self, rate: float) -> float:
        return LEFT + self.width * (math.log10(rate) - self.first) / max(1e-9, self.last - self.first)

    def y(self, loss: float) -> float:
        return TOP + self.height * (self.high - loss) / (self.high - self.low)

    def point(self, rate: float, loss: float) -> Point:
        return self.x(rate), max(-1e4, self.y(loss))

    def axes(self) -> Iterator[str]:
        bottom = TOP + self.height
        for power in range(math.ceil(self.first - 1e-9), math.floor(self.last + 1e-9) + 1):
            x = self.x(10.0**power)
            yield f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="{GRID}"/>'
            yield _text(x, bottom + 20, f"{10.0**power:g}", anchor="middle")
        for step in range(5):
            loss = self.low + (self.high - self.low) * step / 4
            y = self.y(loss)
            yield f'<path d="M{LEFT} {y:.1f}H{LEFT + self.width}" stroke="{GRID}"/>'
            yield _text(LEFT - 8, y + 4, f"{loss:.3g}", anchor="end")
        yield _text(LEFT + self.width / 2, HEIGHT - 12, "Learning rate", anchor="middle")
        yield _text(18, TOP + self.height / 2, "Training loss", anchor="middle", turn=True)


def loss_limits(result: RangeTestResult) -> tuple[float, float]:
    """Return the lowest and the highest loss to show: the full fall, and the beginning of the explosion."""
    if not result.smoothed:
        return 0.0, 1.0
    start = result.smoothed[: max(1, len(result.smoothed) // 10)]
    low, high = min(result.smoothed), max(*start, *result.losses[: len(start)])
    room = 0.25 * (high - low) or 0.1
    return low - room, high + room


def _mark(result: RangeTestResult, scale: _Scale) -> Iterator[str]:
    if result.suggestion is None:
        yield _text(LEFT + 8, TOP + 18, "No suggestion: the loss did not fall clearly.", colour=MARK)
        return
    x = scale.x(result.suggestion)
    right = x > LEFT + 0.7 * scale.width
    yield f'<path d="M{x:.1f} {TOP}V{TOP + scale.height}" stroke="{MARK}" stroke-width="2" stroke-dasharray="6 4"/>'
    label = f"suggestion {result.suggestion:.2g}"
    yield _text(x + (-8 if right else 8), TOP + 18, label, anchor="end" if right else "start", colour=MARK)


def _line(points: list[Point], colour: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5" stroke-linejoin="round"/>'


def _text(
    x: float,
    y: float,
    text: str,
    anchor: str = "start",
    weight: str = "400",
    size: int = 13,
    colour: str = INK,
    turn: bool = False,
) -> str:
    turned = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turn else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}" '
        f'fill="{colour}"{turned}>{html.escape(text)}</text>'
    )
