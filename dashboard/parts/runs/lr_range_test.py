"""A learning-rate range test: its curve, the rate that it suggests, and a training run with that rate."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts.launch import launch_form
from dashboard.parts.shared import curves
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.text import md
from workbench.errors import WorkbenchError
from workbench.i18n import _
from workbench.runs.documents import RangeTestResult
from workbench.runs.lr_range_plot import loss_limits
from workbench.runs.lr_range_test import analyze, loss_curve
from workbench.runs.run import Run


def show_result(result: RangeTestResult) -> None:
    """Show the suggestion in words.

    Args:
        result: result of the test.
    """
    help = help_for("range test", "learning rate", "loss")
    st.subheader(_("Suggested learning rate"), help=help, anchor=False)
    if result.suggestion is None:
        st.warning(md(_(result.how), 500), icon=":material/help:")
        return
    st.metric(_("Peak learning rate"), f"{result.suggestion:.2g}", label_visibility="collapsed")
    st.caption(md(_(result.how), 500))


def train_button(run: Run, result: RangeTestResult | None) -> None:
    """Draw the button that opens the form with this test's settings and its rate.

    Args:
        run: the test.
        result: result of the test.
    """
    if result is None or result.suggestion is None:
        return
    if st.button(_("Train with this rate"), icon=":material/rocket_launch:", type="primary", key="run.use_rate"):
        changes = {"kind": "training", "name": None, "training.learning_rate": result.suggestion}
        try:
            launch_form.fill(run.spec().changed(changes))
        except WorkbenchError as error:
            st.toast(md(str(error)))
            return
        st.switch_page(state.LAUNCH_PAGE)


def draw_curve(result: RangeTestResult | None, rows: list[dict[str, Any]]) -> None:
    """Draw the loss over the learning rate.

    Args:
        result: result of a finished test.
        rows: the metrics so far, of a test that is still running.
    """
    result = result or analyze(*loss_curve(rows))
    if not result.rates:
        st.caption(_("No metrics yet. They appear after the first steps."))
        return
    st.plotly_chart(figure(result), key="run.range_test", config=curves.CONFIG)


def figure(result: RangeTestResult) -> go.Figure:
    """Return the losses as points, the smoothed loss as a line, and the suggestion as a vertical line.

    Args:
        result: result of the test.
    """
    colours = curves.palette()
    chart = go.Figure()
    point = _("{y} at {x}").format(y="%{y:.4~g}", x="%{x:.2~g}")
    chart.add_scatter(
        x=result.rates, y=result.losses, mode="markers", name=_("loss of a step"), opacity=0.45,
        marker={"size": 5, "color": colours[7]}, hovertemplate=f"{point}<extra></extra>",
    )  # fmt: skip
    smoothed = _("smoothed")
    chart.add_scatter(
        x=result.rates, y=result.smoothed, mode="lines", name=smoothed,
        line={"width": 2.5, "color": colours[0]}, hovertemplate=f"{point}<extra>{smoothed}</extra>",
    )  # fmt: skip
    if result.suggestion is not None:
        chart.add_vline(x=result.suggestion, line={"dash": "dash", "width": 2, "color": colours[1]})
        chart.add_annotation(
            x=math.log10(result.suggestion),  # on a logarithmic axis, annotations count in powers of ten
            y=1,
            yref="paper",
            xanchor="left",
            yanchor="top",
            xshift=6,
            showarrow=False,
            text=_("suggestion {rate}").format(rate=f"{result.suggestion:.2g}"),
            font={"color": colours[1], "size": 13},
        )
    chart.update_layout(
        height=360,
        margin={"l": 10, "r": 10, "t": 30, "b": 70},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
        xaxis={"type": "log", "title": _("Learning rate"), "exponentformat": "power", "dtick": 1},
        yaxis={"title": _("Training loss"), "range": list(loss_limits(result)), "automargin": True},
        uirevision="stay",
    )
    return chart
