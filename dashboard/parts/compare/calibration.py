"""Compare's calibration: whether each of two runs is right as often as it says, and what a temperature would mend."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard.parts.compare.cached_predictions import load_classified
from dashboard.parts.shared import curves, run_list
from dashboard.parts.shared.glossary import WORDS
from dashboard.parts.shared.text import cut, plain
from workbench.compare.calibration import calibration_error, reliability_bins, temperature_scaling
from workbench.compare.classified import ClassPredictions
from workbench.runs.run import Run


def draw(first: Run, second: Run) -> None:
    """The reliability curves of both, and a table of their errors."""
    found = {
        run.id: one for run in (first, second) if (one := load_classified(run)) is not None and one.scores is not None
    }
    if not found:
        st.caption("These runs keep no probabilities of their labels.")
        return
    st.plotly_chart(_curves(found), key="compare.reliability", config=curves.CONFIG)
    rows = [_row(name, one) for name, one in found.items()]
    numbers = {name: st.column_config.NumberColumn(format="%.3f") for name in rows[0] if name != "Run"}
    numbers["Calibration error"] = st.column_config.NumberColumn(format="%.3f", help=WORDS["ECE"])
    st.dataframe(rows, hide_index=True, column_config=numbers, key="compare.calibration")
    st.caption(
        "On the diagonal a run is right as often as it says; below it, it is too sure. The error is the mean distance "
        "over the examples (expected calibration error, Guo 2017). The temperature divides the logits: above 1 the run "
        "was too sure. It is fitted on one half of the test examples and judged on the other, and changes no answer."
    )


def _curves(found: dict[str, ClassPredictions]) -> go.Figure:
    figure, colours = go.Figure(), curves.palette()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="as sure as right", hoverinfo="skip",
        line={"dash": "dot", "width": 1.5, "color": "#7F8A93"},
    )  # fmt: skip
    for place, (name, run) in enumerate(found.items()):
        bins = reliability_bins(run.scores or [], run.correct)
        figure.add_scatter(
            x=[one.confidence for one in bins], y=[one.accuracy for one in bins], mode="lines+markers",
            name=plain(run_list.title(name)), line={"color": colours[place]},
            text=[f"{one.count:,} examples" for one in bins],
            hovertemplate="sure %{x:.2f}, right %{y:.2f}, %{text}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(
        height=340, margin={"l": 10, "r": 10, "t": 10, "b": 10}, legend={"orientation": "h", "y": -0.25},
        xaxis={"title": "says that it is right with probability", "range": [-0.02, 1.02]},
        yaxis={"title": "is right", "range": [-0.02, 1.05]},
    )  # fmt: skip
    return figure


def _row(name: str, run: ClassPredictions) -> dict[str, Any]:
    error = calibration_error(reliability_bins(run.scores or [], run.correct))
    row = {"Run": cut(run_list.title(name), 80), "Calibration error": error}
    if run.probabilities is None or len(run) < 2:
        return {**row, "Temperature": None, "Error on the other half": None, "With the temperature": None}
    fitted = temperature_scaling(run.probabilities, [run.labels.index(label) for label in run.gold])
    return {
        **row,
        "Temperature": fitted.temperature,
        "Error on the other half": fitted.error_before,
        "With the temperature": fitted.error_after,
    }
