"""Plots of a comparison's report as SVG without scripts: metrics with intervals, quality over cost, curves."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

import numpy as np

from workbench.compare.tradeoff import COSTS, Point, front_line
from workbench.runs.documents import RunSummary
from workbench.runs.series.curves import Band, thin
from workbench.types import Floats

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 300, 80, 20, 34, 46
COLOURS = ["#0072B2", "#D55E00", "#00805D", "#B25C8E", "#B87A00", "#3A94C4", "#7A57A3", "#7F8A93"]
MAX_POINTS = 300  # of a line


def interval_svg(summaries: Sequence[RunSummary], metric: str, names: Mapping[str, str]) -> str:
    """Plot one metric of each run as a dot with its 95% interval.

    Args:
        summaries: summaries of the runs.
        metric: name of the metric.
        names: names of the runs, by id.

    Returns:
        An SVG element; empty when no run has the metric.
    """
    rows = []
    for index, summary in enumerate(summaries):
        interval = summary.metric(metric)
        if interval.value is not None and math.isfinite(interval.value):
            middle = float(interval.value)
            low, high = (middle if end is None else float(end) for end in (interval.low, interval.high))
            rows.append((index, names[summary.id], low, middle, high))
    if not rows:
        return ""
    left, height = 300, TOP + 28 * len(rows) + BOTTOM
    axis = _Axis([low for _, _, low, _, _ in rows] + [high for *_, high in rows], left, WIDTH - RIGHT)
    parts = axis.across(TOP, height - BOTTOM)
    for row, (index, name, low, middle, high) in enumerate(rows):
        y, colour = TOP + 28 * row + 14, COLOURS[index % len(COLOURS)]
        parts.append(_words(left - 12, y + 4, name[:44] + ("…" if len(name) > 44 else ""), "end"))
        parts.append(f'<path d="M{axis.at(low):.1f} {y}H{axis.at(high):.1f}" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<circle cx="{axis.at(middle):.1f}" cy="{y}" r="5" fill="{colour}"/>')
    parts.append(
        _words((left + WIDTH) / 2, height - 8, f"{_spaced(metric)} on the test examples, 95% interval", "middle")
    )
    return _svg(height, f"{_spaced(metric)} of each run", parts)


def scatter_svg(points: Sequence[Point], names: Mapping[str, str], metric: str, cost: str) -> str:
    """Plot quality over cost. Filled dots and the dotted steps are the Pareto front.

    Args:
        points: two runs or more.
        names: names of the runs, by id.
        metric: name of the metric.
        cost: one of ``COSTS``.
    """
    name, unit, _ = COSTS[cost]
    costs = [point.cost for point in points]
    across = _Axis(costs, LEFT, WIDTH - RIGHT, log=min(costs) > 0 and max(costs) / min(costs) > 30)
    up = _Axis([point.quality for point in points], HEIGHT - BOTTOM, TOP)
    parts = across.across(TOP, HEIGHT - BOTTOM) + up.up(LEFT, WIDTH - RIGHT)
    steps = [(across.at(x), up.at(y)) for x, y in zip(*front_line(points), strict=True)]
    path = f"M{steps[0][0]:.1f} {steps[0][1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in steps[1:])
    parts.append(f'<path d="{path}" fill="none" stroke="#7F8A93" stroke-dasharray="3 4"/>')
    for index, point in enumerate(points):
        colour = COLOURS[list(names).index(point.run) % len(COLOURS)]
        fill = colour if point.on_front else "none"
        label = html.escape(f"{names[point.run]}: {point.quality:.4g} at {point.cost:.4g} {unit}")
        parts.append(
            f'<circle cx="{across.at(point.cost):.1f}" cy="{up.at(point.quality):.1f}" r="5.5" fill="{fill}" '
            f'stroke="{colour}" stroke-width="2"><title>{label}</title></circle>'
        )
        parts.append(_words(across.at(point.cost) + 9, up.at(point.quality) - 7, str(index + 1), "start"))
    title = f"{name} ({unit})" if unit else name
    parts.append(_words((LEFT + WIDTH) / 2, HEIGHT - 8, title, "middle"))
    key = "; ".join(f"{index + 1} {names[point.run]}" for index, point in enumerate(points))
    legend = f'<p class="quiet">{html.escape(key)}</p>'
    return _svg(HEIGHT, f"{_spaced(metric)} against {name.lower()}", parts) + legend


def curve_svg(bands: Sequence[Band], names: Mapping[str, str], metric: str) -> str:
    """Plot one metric over the steps of training; seeds of one setting as their mean with its 95% interval.

    Args:
        bands: the curves.
        names: names of the runs, by id.
        metric: name of the metric.

    Returns:
        An SVG element with a legend; empty when there is no point.
    """
    lines = [(band, *_few(band.x, band.mean)) for band in bands]
    lines = [(band, xs, ys) for band, xs, ys in lines if len(xs)]
    if not lines:
        return ""
    edges = [edge for band, _, _ in lines for edge in (band.low, band.high) if edge is not None]
    across = _Axis(np.concatenate([xs for _, xs, _ in lines]).tolist(), LEFT, WIDTH - RIGHT, margin=0)
    up = _Axis(np.concatenate([*(ys for _, _, ys in lines), *edges]).tolist(), HEIGHT - BOTTOM, TOP)
    parts, legend = across.across(TOP, HEIGHT - BOTTOM) + up.up(LEFT, WIDTH - RIGHT), []
    for band, xs, ys in lines:
        colour = COLOURS[list(names).index(band.runs[0]) % len(COLOURS)]
        if band.low is not None and band.high is not None:
            lower, upper = (list(zip(*_few(band.x, edge), strict=True)) for edge in (band.low, band.high))
            around = _points([*lower, *upper[::-1]], across, up)
            parts.append(f'<polygon points="{around}" fill="{colour}" opacity="0.18"/>')
        drawn = _points(list(zip(xs, ys, strict=True)), across, up)
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>')
        n = f" (mean of n = {band.n}, 95% interval)" if band.n > 1 else ""
        legend.append(f'<span style="color:{colour}">■</span> {html.escape(names[band.runs[0]])}{n}')
    parts.append(_words((LEFT + WIDTH) / 2, HEIGHT - 8, "Step", "middle"))
    return _svg(HEIGHT, _spaced(metric), parts) + f'<p class="quiet">{"; ".join(legend)}</p>'


def _few(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    finite = np.isfinite(x) & np.isfinite(y)
    return thin(x[finite], y[finite], MAX_POINTS)


def _points(points: Sequence[tuple[float, float]], across: _Axis, up: _Axis) -> str:
    return " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in points)


class _Axis:
    """Maps values to coordinates between two ends, with some margin."""

    def __init__(
        self, values: Sequence[float], start: float, end: float, log: bool = False, margin: float = 0.06
    ) -> None:
        self.start, self.end, self.log = start, end, log
        low, high = (self._scaled(pick(values)) for pick in (min, max))
        room = (high - low) * margin or (0 if high > low else abs(high) * 0.05 or 1.0)
        self.low, self.high = low - room, high + room

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def at(self, value: float) -> float:
        return self.start + (self.end - self.start) * (self._scaled(value) - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        if self.log:
            powers = [10.0**p for p in range(math.ceil(self.low), math.floor(self.high) + 1)]
            return powers or [10**self.low, 10**self.high]
        unit = 10.0 ** math.floor(math.log10((self.high - self.low) / 4))
        step = next(unit * k for k in (1, 2, 5, 10, 20) if (self.high - self.low) / (unit * k) <= 6)
        return [step * k for k in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]

    def across(self, top: float, bottom: float) -> list[str]:
        parts = []
        for tick in self.ticks():
            x = self.at(tick)
            parts += [
                f'<path class="grid" d="M{x:.1f} {top}V{bottom}"/>',
                _words(x, bottom + 17, _short(tick), "middle"),
            ]
        return parts

    def up(self, left: float, right: float) -> list[str]:
        parts = []
        for tick in self.ticks():
            y = self.at(tick)
            parts += [f'<path class="grid" d="M{left} {y:.1f}H{right}"/>', _words(left - 8, y + 4, _short(tick), "end")]
        return parts


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}" if abs(value) > 1e-12 else "0"


def _spaced(metric: str) -> str:
    split, _, name = metric.rpartition("/")
    prefix = {"train": "Training ", "eval": "Validation "}.get(split, "")
    return (prefix + name.replace("_", " "))[:80]


def _words(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="system-ui,sans-serif" font-size="12.5" role="img"><title>{html.escape(title)}</title>'
        f'<text x="{LEFT}" y="18" font-weight="600">{html.escape(title)}</text>{"".join(parts)}</svg>'
    )
