"""Compare's confusion matrix of one of two runs: a cell opens its examples; the figures of each class of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from dashboard.parts import curves, evidence, run_list
from dashboard.parts.judged import judged
from dashboard.parts.text import cut, md, plain
from workbench.runs.classified import Classified
from workbench.runs.confusion import Confusion, confusion
from workbench.runs.run import Run

MOST_CLASSES = 60  # of more, cells are too small to be met
MOST_ROWS = 100


def draw(first: Run, second: Run) -> None:
    """The matrix of the run that is chosen, the examples of the chosen cell, and the classes of both runs."""
    found = {run.id: one for run in (first, second) if (one := judged(run)) is not None and one.has_classes}
    if not found:
        st.caption("These runs answer with texts, not with one of a few labels.")
        return
    chosen = st.selectbox("Run", list(found), format_func=run_list.title, key="compare.confused", width=360)
    run, counted = found[chosen], confusion(found[chosen].gold, found[chosen].predicted)
    if len(counted.labels) <= MOST_CLASSES:
        event: Any = st.plotly_chart(
            matrix(counted.labels, counted.counts),
            width="content",
            key="compare.confusion",
            on_select="rerun",
            selection_mode="points",
            config=curves.CONFIG,
        )
        st.caption("Rows are what is right, columns what the run says. A cell opens its examples.")
        _show_cell(run, counted, event["selection"]["points"], first, second)
    _show_classes({name: confusion(one.gold, one.predicted) for name, one in found.items()})


def matrix(labels: Sequence[str], counts: Any) -> go.Figure:
    """Coloured by the share of the row, written with the count; invisible points on the cells can be chosen.

    Args:
        labels: C of them.
        counts: examples [C, C], a row a right label.
    """
    counts = np.asarray(counts)
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    names = [plain(label, 40) for label in labels]
    size = len(names)
    side = max(14, min(80, 700 // size))  # of a cell, in pixels
    figure = go.Figure()
    figure.add_heatmap(
        z=shares, zmin=0, zmax=1, colorscale="Blues", showscale=False, hoverinfo="skip",
        text=counts, texttemplate="%{text:,}" if size <= 20 else None,
    )  # fmt: skip
    cells = [(row, column) for row in range(size) for column in range(size)]
    figure.add_scatter(
        x=[column for _, column in cells], y=[row for row, _ in cells], mode="markers", showlegend=False,
        marker={"symbol": "square", "size": 0.9 * side, "opacity": 0.005},
        text=[f"{names[row]} taken for {names[column]}: {counts[row, column]:,}" for row, column in cells],
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    ticks = {"tickvals": list(range(size)), "ticktext": names, "showgrid": False, "zeroline": False}
    figure.update_layout(
        height=110 + side * size, width=200 + side * size, margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis={**ticks, "title": "said"}, yaxis={**ticks, "title": "right", "autorange": "reversed"},
    )  # fmt: skip
    return figure


def _show_cell(run: Classified, counted: Confusion, points: list[dict[str, Any]], first: Run, second: Run) -> None:
    places = {(int(point["y"]), int(point["x"])) for point in points}
    size = len(counted.labels)
    for row, column in sorted(place for place in places if max(place) < size)[:1]:
        gold, said = counted.labels[row], counted.labels[column]
        inside = counted.places(gold, said)[:MOST_ROWS]
        st.markdown(f"**{md(gold, 60)}** taken for **{md(said, 60)}**: {counted.counts[row, column]:,} examples")
        if not inside:
            continue
        event: Any = st.dataframe(
            {"Text": [cut(run.texts[place], 300) for place in inside]},
            hide_index=True,
            height=min(320, 38 + 35 * len(inside)),
            on_select="rerun",
            selection_mode="single-row",
            key=f"compare.cell.{row}.{column}",
        )
        st.caption("Choose a row to see its explanation in both runs.")
        rows = event["selection"]["rows"]
        if rows and rows[0] < len(inside):
            evidence.explain_in_both(first, second, run.texts[inside[rows[0]]])


def _show_classes(counted: dict[str, Confusion]) -> None:
    labels = sorted({label for one in counted.values() for label in one.labels})
    nothing = {"precision": None, "recall": None, "f1": None, "support": 0}
    table: dict[str, list[Any]] = {"Class": [cut(label, 60) for label in labels]}
    for place, one in enumerate(counted.values()):
        figures, which = one.per_class(), ("first", "second")[place]
        rows = [figures.get(label, nothing) for label in labels]
        if place == 0:
            table["Examples"] = [int(row["support"] or 0) for row in rows]
        for name in ("precision", "recall", "f1"):
            table[f"{name.capitalize()}, {which}"] = [row[name] for row in rows]
    numbers = {name: st.column_config.NumberColumn(format="%.3f") for name in table if ", " in name}
    st.dataframe(table, hide_index=True, column_config=numbers, key="compare.classes")
