"""The confusion matrix of a run, or of one of two: a cell opens its examples; and the metrics of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import ArrayLike

from dashboard import state
from dashboard.parts.compare import evidence
from dashboard.parts.compare.cached_predictions import load_classified
from dashboard.parts.shared import curves, run_list, url_widgets
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import cut, md, plain
from workbench.compare.classified import ClassPredictions
from workbench.compare.confusion import ConfusionMatrix, confusion_matrix
from workbench.i18n import _, ngettext
from workbench.metrics.label_order import sort_labels
from workbench.runs.run import Run

MAX_CLASSES = 30  # of more, cells are too small to click: those with the most errors are drawn
MAX_LABEL = 24  # characters beside the matrix
MAX_ROWS = 100
MAX_PAIRS = 50


def draw(first: Run, second: Run | None = None) -> None:
    """Draw the matrix of one run, the examples of the selected cell, and the metrics of each class.

    Args:
        first: a finished run.
        second: another; None for one run.
    """
    predictions = {run.id: load_classified(run) for run in evidence.both(first, second)}
    runs = {name: run for name, run in predictions.items() if run is not None and run.has_classes}
    if not runs:
        st.caption(_("The answers are text, not one of a few labels."))
        return
    run_id = first.id
    if second is not None:
        run_id = url_widgets.select(
            _("Run"), list(runs), state.Compare.CONFUSION_RUN, format_func=run_list.title, width=520
        )
    run = runs[run_id]
    counts = confusion_matrix(run.gold, run.predicted)
    shown = counts.worst(MAX_CLASSES)
    event = st.plotly_chart(
        matrix(shown.labels, shown.counts), width="content", key="compare.confusion", on_select="rerun",
        selection_mode="points", config=curves.CONFIG,
    )  # fmt: skip
    caption = _("Rows: actual label. Columns: predicted label. Click a cell to see its examples.")
    if shown is not counts:
        text = _("The {n} of {total} classes with the most errors are shown.")
        caption += " " + text.format(n=MAX_CLASSES, total=len(counts.labels))
    st.caption(caption)
    pairs = [(shown.labels[row], shown.labels[column]) for row, column in _cells(event, len(shown.labels))]
    pairs += _choose_pair(counts)
    for gold, predicted in pairs[:1]:
        _show_cell(run, counts, gold, predicted, first, second)
    _show_classes([confusion_matrix(run.gold, run.predicted) for run in runs.values()])


def _cells(event: Any, size: int) -> list[tuple[int, int]]:
    """Return the cells selected in the matrix, as row and column."""
    cells = {(int(point["y"]), int(point["x"])) for point in event["selection"]["points"]}
    return sorted(cell for cell in cells if max(cell) < size)


def _choose_pair(counts: ConfusionMatrix) -> list[tuple[str, str]]:
    """Draw the pairs of classes that are confused, most often first; return the selected one."""
    errors = counts.most_confused()[:MAX_PAIRS]
    if not errors:
        st.caption(_("The run makes no errors."))
        return []
    support = dict(zip(counts.labels, counts.counts.sum(axis=1).tolist(), strict=True))
    column = st.column_config
    event: Any = draw_table(
        {
            "gold": [cut(gold, 60) for gold, predicted, count in errors],
            "predicted": [cut(predicted, 60) for gold, predicted, count in errors],
            "examples": [count for gold, predicted, count in errors],
            "share": [100 * count / support[gold] for gold, predicted, count in errors],
        },
        column_config={
            "gold": column.TextColumn(_("Actual")),
            "predicted": column.TextColumn(_("Predicted")),
            "examples": column.NumberColumn(_("Examples")),
            "share": column.NumberColumn(_("Share of the class"), format="%.1f%%"),
        },
        hide_index=True,
        height=min(320, 38 + 35 * len(errors)),
        on_select="rerun",
        selection_mode="single-row",
        key="compare.mistakes",
    )
    st.caption(_("Most frequent confusions first. Click a row to see its examples."))
    return [errors[row][:2] for row in event["selection"]["rows"] if row < len(errors)]


def matrix(labels: Sequence[str], counts: ArrayLike) -> go.Figure:
    """Return the matrix, coloured by the share of the row; invisible points on the cells can be selected.

    Args:
        labels: C of them.
        counts: examples [C, C], a row per actual label.
    """
    counts = np.asarray(counts)
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    names = [plain(label, MAX_LABEL) for label in labels]
    size = len(names)
    side = max(14, min(80, 700 // size))  # of a cell, in pixels
    figure = go.Figure()
    figure.add_heatmap(
        z=shares, zmin=0, zmax=1, colorscale="Blues", showscale=False, hoverinfo="skip",
        text=counts, texttemplate="%{text:,}" if size <= 20 else None,
    )  # fmt: skip
    cells = [(row, column) for row in range(size) for column in range(size)]
    tooltip = _("{gold} predicted as {predicted}: {n}")
    figure.add_scatter(
        x=[column for row, column in cells], y=[row for row, column in cells], mode="markers", showlegend=False,
        marker={"symbol": "square", "size": 0.9 * side, "opacity": 0.005},
        text=[
            tooltip.format(gold=names[row], predicted=names[column], n=f"{counts[row, column]:,}")
            for row, column in cells
        ],
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    left = 30 + 8 * max(len(cut(label, MAX_LABEL)) for label in labels)  # space for labels, in pixels
    bottom = left if left > 30 + side else 60
    ticks = {"tickvals": list(range(size)), "ticktext": names, "showgrid": False, "zeroline": False}
    ends = [-0.5, size - 0.5]  # set, because Plotly would leave space around selected points
    figure.update_layout(
        height=bottom + 40 + side * size, width=left + 10 + side * size,
        margin={"l": left, "r": 10, "t": 40, "b": bottom},  # above: the plot's buttons, which would hide cells
        xaxis={**ticks, "title": _("Predicted"), "tickangle": 90 if bottom == left else 0, "range": ends},
        yaxis={**ticks, "title": _("Actual"), "range": ends[::-1]},
    )  # fmt: skip
    return figure


def _show_cell(
    run: ClassPredictions, counts: ConfusionMatrix, gold: str, predicted: str, first: Run, second: Run | None
) -> None:
    inside = counts.indices(gold, predicted)
    text = ngettext(
        "**{gold}** predicted as **{predicted}**: {n} example",
        "**{gold}** predicted as **{predicted}**: {n} examples",
        len(inside),
    )
    st.markdown(text.format(gold=md(gold, 60), predicted=md(predicted, 60), n=f"{len(inside):,}"))
    if inside:
        key = f"compare.cell.{counts.labels.index(gold)}.{counts.labels.index(predicted)}"
        evidence.example_table([run.inputs[index] for index in inside[:MAX_ROWS]], [], key, first, second)


def _show_classes(matrices: Sequence[ConfusionMatrix]) -> None:
    labels = sort_labels(label for counts in matrices for label in counts.labels)
    column = st.column_config
    table: dict[str, list[str] | list[int] | list[float | None]] = {"class": [cut(label, 60) for label in labels]}
    config = {"class": column.TextColumn(_("Class")), "examples": column.NumberColumn(_("Examples"))}
    names = {(name, 0): label for name, label in (("precision", _("Precision")), ("recall", _("Recall")), ("f1", "F1"))}
    if len(matrices) > 1:
        names = _names_of_two()
    for index, counts in enumerate(matrices):
        metrics = counts.per_class()
        rows: list[Mapping[str, float | None]] = [metrics.get(label, {}) for label in labels]
        if index == 0:
            table["examples"] = [int(row.get("support") or 0) for row in rows]
        for name in ("precision", "recall", "f1"):
            key = f"{name}_{index}"
            table[key] = [row.get(name) for row in rows]
            config[key] = column.NumberColumn(names[name, index], format="%.3f")
    st.subheader(_("Metrics per class"), help=help_for("precision and recall"), anchor=False)
    draw_table(table, hide_index=True, column_config=config, key="compare.classes")


def _names_of_two() -> dict[tuple[str, int], str]:
    """Return the heading of each metric of two runs."""
    return {
        ("precision", 0): _("Precision, first run"),
        ("recall", 0): _("Recall, first run"),
        ("f1", 0): _("F1, first run"),
        ("precision", 1): _("Precision, second run"),
        ("recall", 1): _("Recall, second run"),
        ("f1", 1): _("F1, second run"),
    }
