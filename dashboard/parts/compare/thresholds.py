"""Compare's thresholds: precision and recall of one class in two runs, and from which probability on to say it."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts.compare.cached_predictions import load_classified
from dashboard.parts.shared import curves, run_list, url_widgets
from dashboard.parts.shared.glossary import WORDS
from dashboard.parts.shared.text import cut, plain
from workbench.compare.classified import ClassPredictions
from workbench.compare.thresholds import PrecisionRecallCurve, best_threshold, precision_recall
from workbench.runs.run import Run


def draw(first: Run, second: Run) -> None:
    """Two pictures of a class that is chosen, and the best threshold of each run."""
    found = {
        run.id: run_ for run in (first, second) if (run_ := load_classified(run)) and run_.probabilities is not None
    }
    if first.id not in found:
        st.caption("The first run keeps no probabilities of its labels.")
        return
    labels = [label for label in found[first.id].labels if label in set(found[first.id].gold)]
    label = url_widgets.select(
        "Class", labels, state.Compare.CLASS, format_func=lambda name: cut(name, 60), width=360,
        help=WORDS["precision and recall"],
    )  # fmt: skip
    drawn = {name: (run, _curve(run, label)) for name, run in found.items() if label in run.gold}
    left, right = st.columns(2)
    left.plotly_chart(_precision_recall(drawn), key="compare.precision_recall", config=curves.CONFIG)
    right.plotly_chart(_by_threshold(drawn), key="compare.thresholds", config=curves.CONFIG)
    rows = [row for name, (run, curve) in drawn.items() if (row := _row(name, run, curve, label))]
    if rows:
        numbers = {name: st.column_config.NumberColumn(format="%.3f") for name in rows[0] if name != "Run"}
        st.dataframe(rows, hide_index=True, column_config=numbers, key="compare.best_thresholds")
    st.caption(
        "The best threshold by F1 is found on one half of the test examples and judged on the other; on the half where "
        "it was chosen it looks better than it is."
    )


def _curve(run: ClassPredictions, label: str) -> PrecisionRecallCurve:
    return precision_recall(_scores(run, label), [gold == label for gold in run.gold])


def _scores(run: ClassPredictions, label: str) -> list[float]:
    assert run.probabilities is not None
    return [float(value) for value in run.probabilities[:, run.labels.index(label)]]


def _row(name: str, run: ClassPredictions, curve: PrecisionRecallCurve, label: str) -> dict[str, Any] | None:
    truth = [gold == label for gold in run.gold]
    if sum(truth) < 2:
        return None
    best = best_threshold(_scores(run, label), truth)
    return {
        "Run": cut(run_list.title(name), 80),
        "Average precision": curve.average_precision,
        "Best threshold": best.threshold,
        "F1 on the other half": best.held_out_f1,
        "F1 there from 0.5 on": best.default_f1,
    }


def _precision_recall(drawn: dict[str, tuple[ClassPredictions, PrecisionRecallCurve]]) -> go.Figure:
    figure, colours = go.Figure(), curves.palette()
    for place, (name, (_, curve)) in enumerate(drawn.items()):
        figure.add_scatter(
            x=curve.recall, y=curve.precision, mode="lines", name=plain(run_list.title(name)),
            line={"color": colours[place], "shape": "vh"},
        )  # fmt: skip
    return _laid_out(figure, "Precision and recall", "recall", "precision")


def _by_threshold(drawn: dict[str, tuple[ClassPredictions, PrecisionRecallCurve]]) -> go.Figure:
    figure, colours = go.Figure(), curves.palette()
    for place, (name, (_, curve)) in enumerate(drawn.items()):
        figure.add_scatter(
            x=curve.thresholds, y=curve.f1, mode="lines", name=plain(run_list.title(name)),
            line={"color": colours[place]},
        )  # fmt: skip
    return _laid_out(figure, "F1 by threshold", "said from this probability on", "F1")


def _laid_out(figure: go.Figure, heading: str, x: str, y: str) -> go.Figure:
    figure.update_layout(
        title={"text": heading, "font": {"size": 14}}, height=320, margin={"l": 10, "r": 10, "t": 40, "b": 10},
        legend={"orientation": "h", "y": -0.25}, xaxis={"title": x, "range": [-0.02, 1.02]},
        yaxis={"title": y, "range": [-0.02, 1.05]},
    )  # fmt: skip
    return figure
