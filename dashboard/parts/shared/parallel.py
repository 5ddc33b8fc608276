"""Parallel coordinates: one line per run, one axis per setting, the result at the right and as the colour."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from dashboard.parts.shared.text import cut, plain

# From blue over grey to gold: every part is visible on a light and on a dark page.
SCALE = ((0.0, "#4a78c2"), (0.5, "#9a9a9a"), (1.0, "#e0a800"))
_LOG_FROM = 30  # ratio of the largest to the smallest value from which an axis is logarithmic


def parallel_coordinates(
    settings: Mapping[str, Sequence[object]], metric: str, values: Sequence[float], maximize: bool, heading: str
) -> go.Figure:
    """Return the figure.

    Args:
        settings: the value of each run, by the dotted name of the setting.
        metric: the name of the result.
        values: the result of each run.
        maximize: whether larger is better; better runs are brighter.
        heading: the title.
    """
    axes = [_axis(field, list(field_values)) for field, field_values in settings.items()]
    axes.append({"label": plain(metric, 40), "values": list(values)})
    line = {"color": list(values), "colorscale": SCALE, "reversescale": not maximize, "showscale": False}
    figure = go.Figure(go.Parcoords(dimensions=axes, line=line))
    figure.update_layout(
        height=340,
        margin={"l": 90, "r": 70, "t": 80, "b": 30},
        title={"text": plain(heading), "font": {"size": 14}, "y": 0.98, "yanchor": "top"},
        uirevision="stay",
    )
    return figure


def _axis(field: str, values: list[object]) -> dict[str, object]:
    """Return an axis: linear for numbers, logarithmic where they span much, and one tick per word for anything else."""
    label = plain(field.split(".", 1)[-1].replace("_", " "), 40)
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(values):
        return {"label": label, **_scale(numbers)}
    words = ["-" if value is None else cut(value, 30) for value in values]
    ticks = sorted(set(words))
    return {
        "label": label,
        "values": [ticks.index(word) for word in words],
        "tickvals": list(range(len(ticks))),
        "ticktext": [plain(word) for word in ticks],
    }


def _scale(values: list[float]) -> dict[str, object]:
    if min(values) <= 0 or max(values) / min(values) < _LOG_FROM:
        return {"values": values}
    ticks = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    return {
        "values": [math.log10(value) for value in values],
        "range": [ticks[0], ticks[-1]],  # both ends are ticks, and so have a number
        "tickvals": list(ticks),
        "ticktext": [f"{10.0**tick:g}" for tick in ticks],
    }
