"""Curves of runs, as plotly figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard.parts.text import plain
from workbench.runs.run import Run

LIGHT = ["#0072B2", "#D55E00", "#00805D", "#B25C8E", "#B87A00", "#3A94C4", "#7A57A3", "#5F5F5F"]
DARK = ["#6CBBF0", "#FF9461", "#3FC79B", "#E59BC6", "#F0B640", "#A5D8FF", "#C3ABE6", "#B5B5B5"]
DASHES = ["solid", "dash", "dot", "dashdot"]  # colours alone would not tell runs apart for everybody
MOST_POINTS = 1500  # of one line; more cannot be seen
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
    """One metric of one run, as it is drawn.

    Args:
        label: what the legend calls it: the run's title or the metric's.
        place: its number among all lines of the page; the same run has the same colour in every figure.
    """

    label: str
    place: int
    x: list[float]
    y: list[float]


def names_in(rows: list[dict[str, Any]]) -> list[str]:
    """The metrics that have at least one value, losses first."""
    return in_order({n for row in rows for n, value in row.items() if "/" in n and isinstance(value, int | float)})


def in_order(names: Iterable[str]) -> list[str]:
    """Names of metrics, those that one looks at first in front."""
    there, first = set(names), ["train/loss", "eval/loss", "eval/accuracy", "eval/macro_f1"]
    return [name for name in first if name in there] + sorted(there - set(first))


def groups(rows: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """The figures of one run: a heading and the metrics that share an axis.

    Losses stand together, and so do shares (accuracies, F1); what has another scale (perplexity) stands alone.
    """
    names = names_in(rows)
    losses = [name for name in names if name.endswith("/loss")]
    scores = [name for name in names if name.startswith("eval/") and name not in losses]
    shares = [name for name in scores if all(-1 <= value <= 1 for value in points(rows, name)[1])]
    alone = [(title(name), [name]) for name in scores if name not in shares]
    rate = [("Learning rate", ["train/learning_rate"])] if "train/learning_rate" in names else []
    found = [("Loss", losses), ("Validation", shares), *alone, *rate]
    return [(heading, group) for heading, group in found if group]


def points(rows: list[dict[str, Any]], metric: str, x: str = "step") -> tuple[list[float], list[float]]:
    """One metric's values over ``x``; of a step that was written twice (by a resumed run) the last."""
    found = {
        row.get("step"): (row[x], row[metric])
        for row in rows
        if isinstance(row.get(x), int | float) and isinstance(row.get(metric), int | float)
    }
    ordered = sorted(found.values())
    return [point[0] for point in ordered], [point[1] for point in ordered]


def thinned(x: list[float], y: list[float]) -> tuple[list[float], list[float]]:
    """At most ``MOST_POINTS`` points; of each stretch the lowest and the highest stay."""
    if len(x) <= MOST_POINTS:
        return x, y
    width = -(-len(x) // (MOST_POINTS // 2))
    kept: list[int] = []
    for start in range(0, len(x), width):
        part = range(start, min(start + width, len(x)))
        kept += sorted({min(part, key=y.__getitem__), max(part, key=y.__getitem__)})
    return [x[i] for i in kept], [y[i] for i in kept]


def figure(heading: str, lines: list[Line], x: str = "step", log: bool = False) -> go.Figure:
    """Lines in one figure.

    Args:
        heading: above it.
        lines: what is drawn.
        x: what stands on the horizontal axis.
        log: logarithmic vertical axis.
    """
    drawn = go.Figure()
    colours = palette()
    for line in lines:
        xs, ys = thinned(line.x, line.y)
        label = plain(line.label)
        drawn.add_scatter(
            x=xs,
            y=ys,
            name=label,
            mode="lines+markers" if len(xs) < 40 else "lines",
            line={"color": colours[line.place % len(colours)], "dash": DASHES[line.place % len(DASHES)], "width": 2},
            hovertemplate=f"%{{y:.4~g}} at %{{x:,.4~r}}<extra>{label}</extra>",
        )
    below = (
        19 * len(lines) if len(lines) > 1 else 0
    )  # pixels that the legend needs when each name has a line of its own
    drawn.update_layout(
        height=290 + below,
        margin={"l": 10, "r": 10, "t": 34, "b": 50 + below},
        title={"text": plain(heading), "font": {"size": 14}},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "font": {"size": 12}},
        showlegend=len(lines) > 1,
        xaxis_title=X_AXES.get(x, x),
        uirevision="stay",  # zoom and hidden lines stay when new points arrive
    )
    drawn.update_yaxes(type="log" if log else "linear", automargin=True, exponentformat="power")
    return drawn


def rows_of(run: Run, kept: dict[str, Any] | None) -> dict[str, Any]:
    """A run's metric lines: what was ``kept`` from the last look and the lines that came since.

    Returns:
        ``{"id", "start", "rows"}``, to be kept for the next look.
    """
    if not kept or kept["id"] != run.id or _shrunk(run, kept["start"]):
        kept = {"id": run.id, "start": 0, "rows": []}
    new, start = run.metrics(kept["start"])
    return {"id": run.id, "start": start, "rows": kept["rows"] + new}


def _shrunk(run: Run, start: int) -> bool:
    try:
        return (run.folder / "metrics.jsonl").stat().st_size < start
    except OSError:
        return True
