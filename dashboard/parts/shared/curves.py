"""Curves of runs, as plotly figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from dashboard.parts.shared import run_list
from dashboard.parts.shared.text import plain
from workbench.runs import curves as library
from workbench.runs.metric_store import MetricStore, open_metrics
from workbench.runs.run import Run

LIGHT = ["#0072B2", "#D55E00", "#00805D", "#B25C8E", "#B87A00", "#3A94C4", "#7A57A3", "#5F5F5F"]
DARK = ["#6CBBF0", "#FF9461", "#3FC79B", "#E59BC6", "#F0B640", "#A5D8FF", "#C3ABE6", "#B5B5B5"]
DASHES = ["solid", "dash", "dot", "dashdot"]  # colours alone would not tell runs apart for everybody
CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["sendDataToCloud", "lasso2d", "select2d"]}

X_AXES = {"step": "Step", "epoch": "Epoch", "time": "Time (s)", "tokens": "Tokens"}
TITLES = {
    "train/loss": "Training loss",
    "train/learning_rate": "Learning rate",
    "train/gradient_norm": "Gradient norm",
    "train/tokens_per_second": "Tokens per second",
    "eval/loss": "Validation loss",
}


def palette() -> list[str]:
    """Colours that stand out from the page's background and from each other, for colour-blind people too."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def title(metric: str) -> str:
    """A metric's name for people: ``Validation accuracy``."""
    place, _, name = metric.partition("/")
    words = {"train": "Training", "eval": "Validation"}.get(place, place)
    return TITLES.get(metric, f"{words} {name.replace('_', ' ')}".strip())


@dataclass(frozen=True)
class Line:
    """One metric of one run, or the mean of several, as it is drawn.

    Args:
        label: what the legend calls it: the run's title or the metric's.
        place: its number among all lines of the page; the same run has the same colour in every figure.
        x, y: its points, thinned.
        low, high: of the interval around it, where it has one.
        faint: a line behind the others: raw values, a single run. It is not in the legend.
    """

    label: str
    place: int
    x: Any
    y: Any
    low: Any = None
    high: Any = None
    faint: bool = False


def in_order(names: Iterable[str]) -> list[str]:
    """Names of metrics, those that one looks at first in front."""
    there, first = set(names), ["train/loss", "eval/loss", "eval/accuracy", "eval/macro_f1"]
    return [name for name in first if name in there] + sorted(there - set(first))


def groups(found: MetricStore) -> list[tuple[str, list[str]]]:
    """The figures of one run: a heading and the metrics that share an axis.

    Losses stand together, and so do shares (accuracies, F1); what has another scale (perplexity) stands alone.
    """
    names = in_order(name for name in found.names() if "/" in name)
    losses = [name for name in names if name.endswith("/loss")]
    scores = [name for name in names if name.startswith("eval/") and name not in losses]
    shares = [name for name in scores if max(map(abs, found.bounds(name))) <= 1]
    alone = [(title(name), [name]) for name in scores if name not in shares]
    trained = [(title(name), [name]) for name in names if name.startswith("train/") and name not in losses]
    found_groups = [("Loss", losses), ("Validation", shares), *alone, *trained]
    return [(heading, group) for heading, group in found_groups if group]


def figure(heading: str, lines: list[Line], x: str = "step", log: bool = False) -> go.Figure:
    """Lines in one figure.

    Args:
        heading: above it.
        lines: what is drawn.
        x: what stands on the horizontal axis.
        log: logarithmic vertical axis.
    """
    drawn = go.Figure()
    for line in lines:
        _add(drawn, line)
    named = sum(not line.faint for line in lines)
    below = 19 * named if named > 1 else 0  # pixels that the legend needs when each name has a line of its own
    drawn.update_layout(
        height=290 + below,
        margin={"l": 10, "r": 10, "t": 34, "b": 50 + below},
        title={"text": plain(heading), "font": {"size": 14}},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "font": {"size": 12}},
        showlegend=named > 1 or any(line.low is not None for line in lines),
        xaxis_title=X_AXES.get(x, x),
        uirevision="stay",  # zoom and hidden lines stay when new points arrive
    )
    drawn.update_yaxes(type="log" if log else "linear", automargin=True, exponentformat="power")
    return drawn


def _add(drawn: go.Figure, line: Line) -> None:
    """One line with its interval behind it."""
    colours = palette()
    colour, label = colours[line.place % len(colours)], plain(line.label)
    if line.low is not None:
        drawn.add_scatter(
            x=np.concatenate([line.x, line.x[::-1]]), y=np.concatenate([line.high, line.low[::-1]]), fill="toself",
            fillcolor=_translucent(colour), line={"width": 0}, hoverinfo="skip", showlegend=False, legendgroup=label,
            mode="lines",
        )  # fmt: skip
    drawn.add_scatter(
        x=line.x,
        y=line.y,
        name=label,
        legendgroup=label,
        showlegend=not line.faint,
        opacity=0.3 if line.faint else 1,
        mode="lines+markers" if len(line.x) < 40 and not line.faint else "lines",
        line={"color": colour, "dash": DASHES[line.place % len(DASHES)], "width": 1 if line.faint else 2},
        hovertemplate=f"%{{y:.4~g}} at %{{x:,.4~r}}<extra>{label}</extra>",
        hoverinfo="skip" if line.faint else None,
    )


def _translucent(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def lines_of(
    found: MetricStore, names: list[str], heading: str, x: str, weight: float, part: tuple[float, float] = (0, 100)
) -> list[Line]:
    """Some metrics of one run: smoothed, with the raw values faint behind them.

    Args:
        found: the run's metrics.
        names: which of them.
        heading: what they share; it is not said again in the legend.
        x: the horizontal axis.
        weight: of smoothing, 0 for none.
        part: of the axis, in percent.
    """
    low, high = _stretch(found, x, part)
    lines = []
    for place, name in enumerate(names):
        label = title(name).removeprefix(f"{heading} ")
        if weight:
            lines.append(Line(label, place, *library.plot_points(found, name, x, low, high), faint=True))
        lines.append(Line(label, place, *library.plot_points(found, name, x, low, high, weight)))
    return lines


def _stretch(found: MetricStore, x: str, part: tuple[float, float]) -> tuple[float | None, float | None]:
    """The part of an axis, in its own unit; None where it reaches to the end."""
    axis = found.axes[x]
    if not len(axis) or part == (0, 100):
        return None, None
    first, last = (float(np.nanmin(axis[:1000])), float(np.nanmax(axis[-1000:])))
    low, high = (first + share / 100 * (last - first) for share in part)
    return (low if part[0] > 0 else None), (high if part[1] < 100 else None)


def overlaid_lines(
    runs: list[Run], name: str, x: str, weight: float = 0.0, together: bool = True, singles: bool = False,
    by: str | None = None,
) -> list[Line]:  # fmt: skip
    """One metric of several runs as lines, with the number of runs in the legend where a line is a mean.

    Args:
        runs: which.
        name: of the metric.
        x: the horizontal axis.
        weight: of smoothing.
        together: a line is the mean of runs that differ in their seed only.
        singles: also each run by itself, faint behind the mean.
        by: a line is the mean of the runs with the same value of this field instead.
    """
    order = [run.id for run in runs]
    lines = []
    for band in library.overlaid_curves(runs, name, x, together, weight, by):
        place, n = order.index(band.runs[0]), f" (mean of n = {band.n}, 95% interval)" if band.n > 1 else ""
        if singles and band.n > 1:
            most = library.points_per_line(len(runs))
            for run in runs:
                if run.id in band.runs:
                    xs, ys = library.plot_points(open_metrics(run), name, x, weight=weight, max_points=most)
                    lines.append(Line(run_list.title(run.id), place, xs, ys, faint=True))
        label = run_list.title(band.label)
        if n and not by:
            label = label.rpartition(" (")[0] or label  # a mean is not the one run's
        lines.append(Line(label[: 79 - len(n)] + n, place, band.x, band.mean, band.low, band.high))
    return lines


def rows_of(run: Run, kept: dict[str, Any] | None) -> dict[str, Any]:
    """A run's metric lines: what was ``kept`` from the last look and the lines that came since.

    Returns:
        ``{"id", "start", "rows"}``, to be kept for the next look.
    """
    if not kept or kept["id"] != run.id or _shrunk(run, kept["start"]):
        kept = {"id": run.id, "start": 0, "rows": []}
    new, start = run.read_metrics(kept["start"])
    return {"id": run.id, "start": start, "rows": kept["rows"] + new}


def _shrunk(run: Run, start: int) -> bool:
    try:
        return (run.folder / "metrics.jsonl").stat().st_size < start
    except OSError:
        return True
