"""Curves of runs, as Plotly figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from dashboard.parts.shared import run_list
from dashboard.parts.shared.text import plain
from workbench.i18n import N_, _
from workbench.runs.run import Run
from workbench.runs.series import curves as library
from workbench.runs.series.metric_store import MetricStore, open_metrics
from workbench.types import Floats

LIGHT = ["#0072B2", "#D55E00", "#00805D", "#B25C8E", "#B87A00", "#3A94C4", "#7A57A3", "#5F5F5F"]
DARK = ["#6CBBF0", "#FF9461", "#3FC79B", "#E59BC6", "#F0B640", "#A5D8FF", "#C3ABE6", "#B5B5B5"]
DASHES = ["solid", "dash", "dot", "dashdot"]  # not everybody can tell runs apart by colour alone
GRAY = "#7F8A93"  # of guides and error bars
CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["sendDataToCloud", "lasso2d", "select2d"]}

X_AXES = {"step": N_("Step"), "epoch": N_("Epoch"), "time": N_("Time (s)"), "tokens": N_("Tokens")}
TITLES = {
    "train/loss": N_("Training loss"),
    "train/learning_rate": N_("Learning rate"),
    "train/gradient_norm": N_("Gradient norm"),
    "train/tokens_per_second": N_("Tokens per second"),
    "eval/loss": N_("Validation loss"),
}
_FIRST = ("train/loss", "eval/loss", "eval/accuracy", "eval/macro_f1")


def palette() -> list[str]:
    """Return colours that stand out from the page and from each other, for colour-blind people as well."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def axis_name(x: str) -> str:
    """Return the name of a horizontal axis.

    Args:
        x: a key of ``X_AXES``.
    """
    return _(X_AXES[x]) if x in X_AXES else x


def title(metric: str) -> str:
    """Return a metric's name for people: ``Validation accuracy``.

    Args:
        metric: such as ``eval/accuracy``.
    """
    if metric in TITLES:
        return _(TITLES[metric])
    group, _slash, name = metric.partition("/")
    words = {"train": _("Training {metric}"), "eval": _("Validation {metric}")}.get(group, "{metric}")
    return words.format(metric=_(name.replace("_", " "))).strip()


@dataclass(frozen=True)
class Line:
    """One metric of one run, or the mean of several, as it is drawn.

    Attributes:
        label: in the legend: the run's title or the metric's.
        index: among all lines of the page; a run has the same colour in every figure.
        x, y: its points [P], thinned.
        low, high: the interval around it [P], if it has one.
        faint: in the background: raw values, a single run. It is not in the legend.
    """

    label: str
    index: int
    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None
    faint: bool = False


@dataclass(frozen=True)
class Style:
    """How curves are drawn.

    Attributes:
        x: the horizontal axis, a key of ``X_AXES``.
        log: whether the vertical axis is logarithmic.
        weight: smoothing weight, 0 for none.
        span: the part of the horizontal axis that is shown, in percent.
    """

    x: str = "step"
    log: bool = False
    weight: float = 0.0
    span: tuple[float, float] = (0, 100)


@dataclass(frozen=True)
class Averaging:
    """Which runs are drawn as one curve, their mean.

    Attributes:
        seeds: runs that differ only in their seed.
        field: runs with the same value of this field, instead.
        singles: also draw each run, faint behind the mean.
    """

    seeds: bool = True
    field: str | None = None
    singles: bool = False


def in_order(names: Iterable[str]) -> list[str]:
    """Sort metrics so that the ones people look at first come first.

    Args:
        names: names of the metrics.
    """
    remaining = set(names)
    return [name for name in _FIRST if name in remaining] + sorted(remaining - set(_FIRST))


def groups(metrics: MetricStore) -> list[tuple[str, list[str]]]:
    """Return the figures of one run: a heading and the metrics that share its axis.

    Losses share a figure, and so do metrics up to 1 (accuracies, F1); metrics of another scale (perplexity) get their
    own.

    Args:
        metrics: metrics of the run.
    """
    names = in_order(name for name in metrics.names() if "/" in name)
    losses = [name for name in names if name.endswith("/loss")]
    scores = [name for name in names if name.startswith("eval/") and name not in losses]
    shares = [name for name in scores if max(map(abs, metrics.bounds(name))) <= 1]
    alone = [(title(name), [name]) for name in scores if name not in shares]
    training = [(title(name), [name]) for name in names if name.startswith("train/") and name not in losses]
    figures = [(_("Loss"), losses), (_("Validation"), shares), *alone, *training]
    return [(heading, group) for heading, group in figures if group]


def figure(heading: str, lines: Sequence[Line], style: Style | None = None) -> go.Figure:
    """Return a figure of lines.

    Args:
        heading: its title, translated.
        lines: what it shows.
        style: how they are drawn.
    """
    style = style or Style()
    result = go.Figure()
    for line in lines:
        _add(result, line)
    named = sum(not line.faint for line in lines)
    legend_height = 19 * named if named > 1 else 0  # pixels, when each name has a row of its own
    result.update_layout(
        height=290 + legend_height,
        margin={"l": 10, "r": 10, "t": 34, "b": 50 + legend_height},
        title={"text": plain(heading), "font": {"size": 14}},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "font": {"size": 12}},
        showlegend=named > 1 or any(line.low is not None for line in lines),
        xaxis_title=axis_name(style.x),
        uirevision="stay",  # zoom and hidden lines survive when new points arrive
    )
    result.update_yaxes(type="log" if style.log else "linear", automargin=True, exponentformat="power")
    return result


def _add(result: go.Figure, line: Line) -> None:
    """Add a line with its interval behind it."""
    colours = palette()
    colour, label = colours[line.index % len(colours)], plain(line.label)
    if line.low is not None and line.high is not None:
        result.add_scatter(
            x=np.concatenate([line.x, line.x[::-1]]), y=np.concatenate([line.high, line.low[::-1]]), fill="toself",
            fillcolor=_translucent(colour), line={"width": 0}, hoverinfo="skip", showlegend=False, legendgroup=label,
            mode="lines",
        )  # fmt: skip
    point = _("{y} at {x}").format(y="%{y:.4~g}", x="%{x:,.4~r}")
    result.add_scatter(
        x=line.x,
        y=line.y,
        name=label,
        legendgroup=label,
        showlegend=not line.faint,
        opacity=0.3 if line.faint else 1,
        mode="lines+markers" if len(line.x) < 40 and not line.faint else "lines",
        line={"color": colour, "dash": DASHES[line.index % len(DASHES)], "width": 1 if line.faint else 2},
        hovertemplate=f"{point}<extra>{label}</extra>",
        hoverinfo="skip" if line.faint else None,
    )


def _translucent(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def lines_of(metrics: MetricStore, names: Sequence[str], heading: str, style: Style) -> list[Line]:
    """Return metrics of one run as lines: smoothed, with the raw values faint in the background.

    Args:
        metrics: metrics of the run.
        names: names of the metrics.
        heading: what they share; the legend does not repeat it.
        style: how they are drawn.
    """
    low, high = _range(metrics, style)
    lines = []
    for index, name in enumerate(names):
        label = title(name).removeprefix(f"{heading} ")
        if style.weight:
            lines.append(Line(label, index, *library.plot_points(metrics, name, style.x, low, high), faint=True))
        lines.append(Line(label, index, *library.plot_points(metrics, name, style.x, low, high, style.weight)))
    return lines


def _range(metrics: MetricStore, style: Style) -> tuple[float | None, float | None]:
    """Return the span of the axis in its own unit; None where it reaches the end."""
    axis, (start, stop) = metrics.axes[style.x], style.span
    if not len(axis) or style.span == (0, 100):
        return None, None
    first, last = (float(np.nanmin(axis[:1000])), float(np.nanmax(axis[-1000:])))
    low, high = (first + percent / 100 * (last - first) for percent in style.span)
    return (low if start > 0 else None), (high if stop < 100 else None)


def overlaid_lines(runs: list[Run], name: str, style: Style, averaging: Averaging | None = None) -> list[Line]:
    """Return one metric of several runs as lines; the legend shows the number of runs in a mean.

    Args:
        runs: the runs; colours follow their order.
        name: name of the metric.
        style: how they are drawn.
        averaging: which runs are one line.
    """
    averaging = averaging or Averaging()
    order = [run.id for run in runs]
    lines = []
    for band in library.overlaid_curves(runs, name, style.x, averaging.seeds, style.weight, averaging.field):
        index = order.index(band.runs[0])
        suffix = _(" (mean of n = {n}, 95% interval)").format(n=band.n) if band.n > 1 else ""
        if averaging.singles and band.n > 1:
            max_points = library.points_per_line(len(runs))
            for run in (run for run in runs if run.id in band.runs):
                x, y = library.plot_points(open_metrics(run), name, style.x, weight=style.weight, max_points=max_points)
                lines.append(Line(run_list.title(run.id), index, x, y, faint=True))
        label = run_list.title(band.label)
        if suffix and not averaging.field:
            label = label.rpartition(" (")[0] or label  # a mean does not belong to one run
        lines.append(Line(label[: 79 - len(suffix)] + suffix, index, band.x, band.mean, band.low, band.high))
    return lines


def rows_of(run: Run, cached: dict[str, object] | None) -> dict[str, Any]:
    """Return a run's metric rows, reading only those that are new.

    Args:
        run: the run.
        cached: what this function returned the last time.

    Returns:
        ``{"id", "start", "rows"}``.
    """
    if not cached or cached["id"] != run.id or _has_shrunk(run, cached["start"]):
        cached = {"id": run.id, "start": 0, "rows": []}
    new, start = run.read_metrics(cached["start"])
    return {"id": run.id, "start": start, "rows": cached["rows"] + new}


def _has_shrunk(run: Run, start: int) -> bool:
    try:
        return run.metrics_file.stat().st_size < start
    except OSError:
        return True
