"""Parallel coordinates: a line a run, an axis a setting, the result on the right and as the colour."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.parts.shared.text import cut, plain

# From blue over grey to gold: no part of it vanishes on a light or on a dark page.
SCALE = ((0.0, "#4a78c2"), (0.5, "#9a9a9a"), (1.0, "#e0a800"))


def coordinates(
    settings: Mapping[str, Sequence[Any]], metric: str, values: Sequence[float], maximize: bool, heading: str
) -> go.Figure:
    """The figure.

    Args:
        settings: by the field's dotted name, its value in each run.
        metric: what the result is called.
        values: the result of each run.
        maximize: whether more of it is better; the better ones are bright.
        heading: above it.
    """
    axes = [_axis(field, list(found)) for field, found in settings.items()]
    axes.append({"label": plain(metric, 40), "values": list(values)})
    line = {"color": list(values), "colorscale": SCALE, "reversescale": not maximize, "showscale": False}
    drawn = go.Figure(go.Parcoords(dimensions=axes, line=line))
    drawn.update_layout(
        height=340,
        margin={"l": 90, "r": 70, "t": 80, "b": 30},
        title={"text": plain(heading), "font": {"size": 14}, "y": 0.98, "yanchor": "top"},
        uirevision="stay",
    )
    return drawn


def _axis(field: str, values: list[Any]) -> dict[str, Any]:
    """Numbers where they are; a logarithm where they span much; words one under the other."""
    label = plain(field.split(".", 1)[-1].replace("_", " "), 40)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        if min(values) > 0 and max(values) / min(values) >= 30:
            ticks = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
            return {
                "label": label,
                "values": [math.log10(value) for value in values],
                "range": [ticks[0], ticks[-1]],  # both ends are ticks, and so have a number
                "tickvals": list(ticks),
                "ticktext": [f"{10.0**tick:g}" for tick in ticks],
            }
        return {"label": label, "values": values}
    told = ["-" if value is None else cut(value, 30) for value in values]
    words = sorted(set(told))
    return {
        "label": label,
        "values": [words.index(word) for word in told],
        "tickvals": list(range(len(words))),
        "ticktext": [plain(word) for word in words],
    }
