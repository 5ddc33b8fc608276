"""Curves of runs, as plotly figures."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from dashboard.parts.text import plain
from workbench.runs.run import Run

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#6B6B6B"]
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


def title(metric: str) -> str:
    """A metric's name for people: ``Validation accuracy``."""
    place, _, name = metric.partition("/")
    words = {"train": "Training", "eval": "Validation"}.get(place, place)
    return TITLES.get(metric, f"{words} {name.replace('_', ' ')}".strip())


def names_in(rows: list[dict[str, Any]]) -> list[str]:
    """The metrics that have at least one value, losses first."""
    names = {name for row in rows for name, value in row.items() if "/" in name and isinstance(value, int | float)}
    first = ["train/loss", "eval/loss", "eval/accuracy", "eval/macro_f1"]
    return [name for name in first if name in names] + sorted(names - set(first))


def line(rows: list[dict[str, Any]], metric: str, x: str = "step") -> tuple[list[float], list[float]]:
    """One metric's points, thinned so that of each stretch the lowest and the highest stay."""
    points = [
        (row[x], row[metric])
        for row in rows
        if isinstance(row.get(x), int | float) and isinstance(row.get(metric), int | float)
    ]
    if len(points) > MOST_POINTS:
        width = -(-len(points) // (MOST_POINTS // 2))
        kept = []
        for start in range(0, len(points), width):
            part = points[start : start + width]
            low, high = min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])
            kept += sorted({low, high})
        points = kept
    return [p[0] for p in points], [p[1] for p in points]


def figure(series: dict[str, list[dict[str, Any]]], metrics: list[str], x: str = "step", log: bool = False) -> go.Figure:
    """Lines of one or more metrics for one or more runs.

    Args:
        series: for each run's title its rows.
        metrics: what is drawn; with several runs, one figure a metric reads best.
        x: the metric on the horizontal axis.
        log: logarithmic vertical axis.
    """
    drawn = go.Figure()
    several = len(series) > 1
    for index, (name, rows) in enumerate(series.items()):
        for offset, metric in enumerate(metrics):
            xs, ys = line(rows, metric, x)
            if not xs:
                continue
            place = index if several else offset
            label = plain(name) if several else title(metric)
            look = {"color": COLOURS[place % len(COLOURS)], "dash": DASHES[place // len(COLOURS) % len(DASHES)], "width": 2}
            mode = "lines+markers" if len(xs) < 40 else "lines"
            hover = f"%{{y:.4g}} at %{{x:,.4g}}<extra>{label}</extra>"
            drawn.add_scatter(x=xs, y=ys, name=label, mode=mode, line=look, hovertemplate=hover)
    drawn.update_layout(
        height=300,
        margin={"l": 10, "r": 10, "t": 34, "b": 10},
        title={"text": " and ".join(title(metric) for metric in metrics), "font": {"size": 14}},
        legend={"orientation": "h", "y": -0.25, "font": {"size": 12}},
        showlegend=several or len(metrics) > 1,
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
