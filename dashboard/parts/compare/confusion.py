"""Compare's confusion matrix of one of two runs: a cell opens its examples; the figures of each class of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts.compare import evidence
from dashboard.parts.compare.cached_predictions import load_classified
from dashboard.parts.shared import curves, run_list, url_widgets
from dashboard.parts.shared.glossary import WORDS
from dashboard.parts.shared.text import cut, md, plain
from workbench.compare.classified import ClassPredictions
from workbench.compare.confusion import ConfusionMatrix, confusion_matrix
from workbench.runs.run import Run

MOST_CLASSES = 30  # of more, cells are too small to be met: those with the most mistakes are drawn
LONGEST_LABEL = 24  # characters beside the matrix
MOST_ROWS = 100
MOST_PAIRS = 50


def draw(first: Run, second: Run) -> None:
    """The matrix of the run that is chosen, the examples of the chosen cell, and the classes of both runs."""
    found = {run.id: one for run in (first, second) if (one := load_classified(run)) is not None and one.has_classes}
    if not found:
        st.caption("These runs answer with texts, not with one of a few labels.")
        return
    chosen = url_widgets.select("Run", list(found), state.Compare.CONFUSION_RUN, format_func=run_list.title, width=520)
    run, counted = found[chosen], confusion_matrix(found[chosen].gold, found[chosen].predicted)
    drawn = counted.worst(MOST_CLASSES)
    event: Any = st.plotly_chart(
        matrix(drawn.labels, drawn.counts), width="content", key="compare.confusion", on_select="rerun",
        selection_mode="points", config=curves.CONFIG,
    )  # fmt: skip
    st.caption(
        "Rows are what is right, columns what the run says. A cell opens its examples."
        + ("" if drawn is counted else f" Of {len(counted.labels)} classes the {MOST_CLASSES} with the most mistakes.")
    )
    pairs = [(drawn.labels[row], drawn.labels[column]) for row, column in _cells(event, len(drawn.labels))]
    pairs += _chosen_pair(counted)
    for gold, said in pairs[:1]:
        _show_cell(run, counted, gold, said, first, second)
    _show_classes({name: confusion_matrix(one.gold, one.predicted) for name, one in found.items()})


def _cells(event: Any, size: int) -> list[tuple[int, int]]:
    """The cells that are chosen in the matrix, as row and column."""
    places = {(int(point["y"]), int(point["x"])) for point in event["selection"]["points"]}
    return sorted(place for place in places if max(place) < size)


def _chosen_pair(counted: ConfusionMatrix) -> list[tuple[str, str]]:
    """The classes that are mistaken for each other, most often first; the pair that is chosen among them."""
    mistakes = counted.most_confused()[:MOST_PAIRS]
    if not mistakes:
        st.caption("The run makes no mistake.")
        return []
    support = dict(zip(counted.labels, counted.counts.sum(axis=1).tolist(), strict=True))
    event: Any = st.dataframe(
        {
            "Right": [cut(gold, 60) for gold, _, _ in mistakes],
            "Said": [cut(said, 60) for _, said, _ in mistakes],
            "Examples": [count for _, _, count in mistakes],
            "Of the class": [100 * count / support[gold] for gold, _, count in mistakes],
        },
        column_config={"Of the class": st.column_config.NumberColumn(format="%.1f%%")},
        hide_index=True,
        height=min(320, 38 + 35 * len(mistakes)),
        on_select="rerun",
        selection_mode="single-row",
        key="compare.mistakes",
    )
    st.caption("What is taken for what, most often first. A row opens its examples.")
    return [mistakes[row][:2] for row in event["selection"]["rows"] if row < len(mistakes)]


def matrix(labels: Sequence[str], counts: Any) -> go.Figure:
    """Coloured by the share of the row, written with the count; invisible points on the cells can be chosen.

    Args:
        labels: C of them.
        counts: examples [C, C], a row a right label.
    """
    counts = np.asarray(counts)
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    names = [plain(label, LONGEST_LABEL) for label in labels]
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
    room = 30 + 8 * max(len(cut(label, LONGEST_LABEL)) for label in labels)  # that labels need, in pixels
    below = room if room > 30 + side else 60
    ticks = {"tickvals": list(range(size)), "ticktext": names, "showgrid": False, "zeroline": False}
    ends = [-0.5, size - 0.5]  # set, because plotly would leave room around the points that are chosen
    figure.update_layout(
        height=below + 40 + side * size, width=room + 10 + side * size,
        margin={"l": room, "r": 10, "t": 40, "b": below},  # above: the plot's buttons, which would hide cells
        xaxis={**ticks, "title": "said", "tickangle": 90 if below == room else 0, "range": ends},
        yaxis={**ticks, "title": "right", "range": ends[::-1]},
    )  # fmt: skip
    return figure


def _show_cell(run: ClassPredictions, counted: ConfusionMatrix, gold: str, said: str, first: Run, second: Run) -> None:
    inside = counted.indices(gold, said)
    st.markdown(f"**{md(gold, 60)}** taken for **{md(said, 60)}**: {len(inside):,} examples")
    if inside:
        key = f"compare.cell.{counted.labels.index(gold)}.{counted.labels.index(said)}"
        evidence.example_table([run.inputs[place] for place in inside[:MOST_ROWS]], {}, key, first, second)


def _show_classes(counted: dict[str, ConfusionMatrix]) -> None:
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
    st.subheader("Each class", help=WORDS["precision and recall"], anchor=False)
    st.dataframe(table, hide_index=True, column_config=numbers, key="compare.classes")
