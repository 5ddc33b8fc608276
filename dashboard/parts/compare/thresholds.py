"""Thresholds: precision and recall of one class in a run or in two, and the best decision threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts.compare.cached_predictions import load_classified
from dashboard.parts.compare.evidence import both
from dashboard.parts.shared import curves, run_list, url_widgets
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import cut, plain
from workbench.compare.classified import ClassPredictions
from workbench.compare.thresholds import PrecisionRecallCurve, best_threshold, precision_recall
from workbench.i18n import _
from workbench.runs.run import Run


class Scored(NamedTuple):
    """A run's scores of one class, and their precision and recall."""

    scores: list[float]
    is_class: list[bool]
    curve: PrecisionRecallCurve


def draw(first: Run, second: Run | None = None) -> None:
    """Draw two figures of a class, and the best threshold of each run.

    Args:
        first: a finished run.
        second: another; None for one run.
    """
    predictions = {run.id: load_classified(run) for run in both(first, second)}
    runs = {name: run for name, run in predictions.items() if run is not None and run.probabilities is not None}
    if first.id not in runs:
        st.caption(_("No label probabilities are stored."))
        return
    labels = [label for label in runs[first.id].labels if label in set(runs[first.id].gold)]
    label = url_widgets.select(
        _("Class"),
        labels,
        state.Compare.CLASS,
        format_func=lambda name: cut(name, 60),
        width=360,
        help=help_for("precision and recall"),
    )
    scored = {name: _scored(run, label) for name, run in runs.items() if label in run.gold}
    left, right = st.columns(2)
    left.plotly_chart(_precision_recall(scored), key="compare.precision_recall", config=curves.CONFIG)
    right.plotly_chart(_by_threshold(scored), key="compare.thresholds", config=curves.CONFIG)
    rows = [row for name, run in scored.items() if (row := _row(name, run))]
    if rows:
        labels_of = {
            "average_precision": _("Average precision"),
            "threshold": _("Best threshold"),
            "f1": _("F1 on the other half"),
            "default_f1": _("F1 at 0.5"),
        }
        column = st.column_config
        config = {"run": column.TextColumn(_("Run"))}
        config |= {name: column.NumberColumn(label, format="%.3f") for name, label in labels_of.items()}
        draw_table(rows, hide_index=True, column_config=config, key="compare.best_thresholds")
    st.caption(
        _(
            "The threshold with the best F1 is chosen on one half of the test examples and evaluated on the other; on "
            "the half where it is chosen, F1 is too optimistic."
        )
    )


def _scored(run: ClassPredictions, label: str) -> Scored:
    assert run.probabilities is not None
    scores = [float(value) for value in run.probabilities[:, run.labels.index(label)]]
    is_class = [gold == label for gold in run.gold]
    return Scored(scores, is_class, precision_recall(scores, is_class))


def _row(name: str, run: Scored) -> dict[str, str | float] | None:
    if sum(run.is_class) < 2:
        return None
    best = best_threshold(run.scores, run.is_class)
    return {
        "run": cut(run_list.title(name), 80),
        "average_precision": run.curve.average_precision,
        "threshold": best.threshold,
        "f1": best.held_out_f1,
        "default_f1": best.default_f1,
    }


def _precision_recall(runs: Mapping[str, Scored]) -> go.Figure:
    figure, colours = go.Figure(), curves.palette()
    for index, (name, run) in enumerate(runs.items()):
        figure.add_scatter(
            x=run.curve.recall, y=run.curve.precision, mode="lines", name=plain(run_list.title(name)),
            line={"color": colours[index], "shape": "vh"},
        )  # fmt: skip
    return _lay_out(figure, _("Precision and recall"), _("Recall"), _("Precision"))


def _by_threshold(runs: Mapping[str, Scored]) -> go.Figure:
    figure, colours = go.Figure(), curves.palette()
    for index, (name, run) in enumerate(runs.items()):
        figure.add_scatter(
            x=run.curve.thresholds, y=run.curve.f1, mode="lines", name=plain(run_list.title(name)),
            line={"color": colours[index]},
        )  # fmt: skip
    return _lay_out(figure, _("F1 by threshold"), _("Threshold"), "F1")


def _lay_out(figure: go.Figure, heading: str, x: str, y: str) -> go.Figure:
    figure.update_layout(
        title={"text": heading, "font": {"size": 14}}, height=320, margin={"l": 10, "r": 10, "t": 40, "b": 10},
        legend={"orientation": "h", "y": -0.25}, xaxis={"title": x, "range": [-0.02, 1.02]},
        yaxis={"title": y, "range": [-0.02, 1.05]},
    )  # fmt: skip
    return figure
