"""Calibration: whether a run, or each of two, is right as often as it is confident, and temperature scaling."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go
import streamlit as st

from dashboard.parts.compare.cached_predictions import load_classified
from dashboard.parts.compare.evidence import both
from dashboard.parts.shared import curves, run_list
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import cut, plain
from workbench.compare.calibration import calibration_error, reliability_bins, temperature_scaling
from workbench.compare.classified import ClassPredictions
from workbench.i18n import _
from workbench.runs.run import Run


def draw(first: Run, second: Run | None = None) -> None:
    """Draw the reliability curve of each run, and a table of their errors.

    Args:
        first: a finished run.
        second: another; None for one run.
    """
    predictions = {run.id: load_classified(run) for run in both(first, second)}
    scored = {name: run for name, run in predictions.items() if run is not None and run.scores is not None}
    if not scored:
        st.caption(_("No label probabilities are stored."))
        return
    st.plotly_chart(_curves(scored), key="compare.reliability", config=curves.CONFIG)
    column = st.column_config
    draw_table(
        [_row(name, run) for name, run in scored.items()],
        hide_index=True,
        column_config={
            "run": column.TextColumn(_("Run")),
            "error": column.NumberColumn(_("Calibration error"), format="%.3f", help=help_for("ECE")),
            "temperature": column.NumberColumn(_("Temperature"), format="%.3f"),
            "before": column.NumberColumn(_("Error on the other half"), format="%.3f"),
            "after": column.NumberColumn(_("After temperature scaling"), format="%.3f"),
        },
        key="compare.calibration",
    )
    st.caption(
        _(
            "On the diagonal a run is right as often as it is confident; below it, it is overconfident. The error is "
            "the mean gap over the examples (expected calibration error, Guo 2017). The temperature divides the "
            "logits; above 1 the run was overconfident. It is fitted on one half of the test examples, evaluated on "
            "the other, and changes no prediction."
        )
    )


def _curves(runs: Mapping[str, ClassPredictions]) -> go.Figure:
    figure, colours = go.Figure(), curves.palette()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name=_("perfectly calibrated"), hoverinfo="skip",
        line={"dash": "dot", "width": 1.5, "color": curves.GRAY},
    )  # fmt: skip
    point = _("confidence {x}, accuracy {y}, {n} examples").format(x="%{x:.2f}", y="%{y:.2f}", n="%{text}")
    for index, (name, run) in enumerate(runs.items()):
        bins = reliability_bins(run.scores or [], run.correct)
        figure.add_scatter(
            x=[bin.confidence for bin in bins], y=[bin.accuracy for bin in bins], mode="lines+markers",
            name=plain(run_list.title(name)), line={"color": colours[index]},
            text=[f"{bin.count:,}" for bin in bins], hovertemplate=f"{point}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(
        height=340, margin={"l": 10, "r": 10, "t": 10, "b": 10}, legend={"orientation": "h", "y": -0.25},
        xaxis={"title": _("Confidence"), "range": [-0.02, 1.02]},
        yaxis={"title": _("Accuracy"), "range": [-0.02, 1.05]},
    )  # fmt: skip
    return figure


def _row(name: str, run: ClassPredictions) -> dict[str, str | float | None]:
    error = calibration_error(reliability_bins(run.scores or [], run.correct))
    row: dict[str, str | float | None] = {"run": cut(run_list.title(name), 80), "error": error}
    if run.probabilities is None or len(run) < 2:
        return {**row, "temperature": None, "before": None, "after": None}
    scaled = temperature_scaling(run.probabilities, [run.labels.index(label) for label in run.gold])
    return {**row, "temperature": scaled.temperature, "before": scaled.error_before, "after": scaled.error_after}
