"""A learning-rate range test: its curve, what it suggests, and the way to a training with that rate."""

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
from workbench.runs.documents import RangeTestResult
from workbench.runs.lr_range_plot import loss_limits
from workbench.runs.lr_range_test import analyze, loss_curve
from workbench.runs.run import Run


def show_finding(found: RangeTestResult) -> None:
    """The suggestion in words."""
    st.subheader("Suggested learning rate", help=help_for("range test", "learning rate", "loss"), anchor=False)
    if found.suggestion is None:
        st.warning(md(found.how, 500), icon=":material/help:")
        return
    st.metric("Largest learning rate", f"{found.suggestion:.2g}", label_visibility="collapsed")
    st.caption(md(found.how, 500))


def train_button(run: Run, found: RangeTestResult | None) -> None:
    """To the form, filled with this test's settings and its rate."""
    if found is None or found.suggestion is None:
        return
    if st.button("Train with this rate", icon=":material/rocket_launch:", type="primary", key="run.use_rate"):
        rate = {"kind": "training", "name": None, "training.learning_rate": found.suggestion}
        try:
            launch_form.fill(run.spec().changed(rate))
        except WorkbenchError as error:
            st.toast(md(str(error)))
            return
        st.switch_page(state.LAUNCH_PAGE)


def draw_curve(found: RangeTestResult | None, rows: list[dict[str, Any]]) -> None:
    """Loss over learning rate: that of the report, or of a test that runs still."""
    found = found or analyze(*loss_curve(rows))
    if not found.rates:
        st.caption("No figures yet: they come with the first steps.")
        return
    st.plotly_chart(figure(found), key="run.range_test", config=curves.CONFIG)


def figure(found: RangeTestResult) -> go.Figure:
    """The losses as points, the smoothed loss as a line, and the suggestion as an upright one."""
    colours = curves.palette()
    drawn = go.Figure()
    drawn.add_scatter(
        x=found.rates, y=found.losses, mode="markers", name="loss of a step", opacity=0.45,
        marker={"size": 5, "color": colours[7]}, hovertemplate="%{y:.4~g} at %{x:.2~g}<extra></extra>",
    )  # fmt: skip
    drawn.add_scatter(
        x=found.rates, y=found.smoothed, mode="lines", name="smoothed",
        line={"width": 2.5, "color": colours[0]}, hovertemplate="%{y:.4~g} at %{x:.2~g}<extra>smoothed</extra>",
    )  # fmt: skip
    if found.suggestion is not None:
        drawn.add_vline(x=found.suggestion, line={"dash": "dash", "width": 2, "color": colours[1]})
        drawn.add_annotation(
            x=math.log10(found.suggestion),  # on a logarithmic axis, annotations count in powers of ten
            y=1,
            yref="paper",
            xanchor="left",
            yanchor="top",
            xshift=6,
            showarrow=False,
            text=f"suggestion {found.suggestion:.2g}",
            font={"color": colours[1], "size": 13},
        )
    drawn.update_layout(
        height=360,
        margin={"l": 10, "r": 10, "t": 30, "b": 70},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
        xaxis={"type": "log", "title": "Learning rate", "exponentformat": "power", "dtick": 1},
        yaxis={"title": "Training loss", "range": list(loss_limits(found)), "automargin": True},
        uirevision="stay",
    )
    return drawn
