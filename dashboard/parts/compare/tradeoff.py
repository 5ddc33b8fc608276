"""Quality against cost, and against the settings: which of the compared runs are worth their cost."""

from __future__ import annotations

import math

import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts.compare import comparison
from dashboard.parts.shared import curves, run_list, url_widgets
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.parallel import parallel_coordinates
from dashboard.parts.shared.text import md, plain
from workbench.compare import tradeoff
from workbench.i18n import _
from workbench.metrics.measures import SMALLER_IS_BETTER
from workbench.runs.documents import RunSummary
from workbench.runs.run import Run
from workbench.types import Json

MAX_AXES = 8
PARALLEL = "compare.parallel.shown"


def draw(summaries: list[RunSummary], metric: str) -> None:
    """Draw quality against cost, and a sentence on which runs are worth their cost.

    Args:
        summaries: summaries of the runs.
        metric: the quality.
    """
    cost = url_widgets.select(
        _("Cost"),
        list(tradeoff.COSTS),
        state.Compare.COST,
        width=260,
        format_func=lambda name: _(tradeoff.COSTS[name][0]),
        help=_("Time and memory depend on the machine: compare runs of one machine."),
    )
    points = tradeoff.tradeoff_points(summaries, metric, cost)
    if len(points) < 2:
        st.caption(_("The figure needs two finished runs."))
        return
    st.plotly_chart(scatter(summaries, points, metric, cost), key="compare.scatter", config=curves.CONFIG)
    names = {point.run: run_list.title(point.run) for point in points}
    st.caption(md(tradeoff.summary_sentence(points, names, metric, cost), 500), help=help_for("Pareto"))


def draw_settings(summaries: list[RunSummary], runs: list[Run], metric: str) -> None:
    """Draw every run as a line through its settings to its result; nothing if all settings are the same.

    Args:
        summaries: summaries of the runs.
        runs: the runs.
        metric: the result.
    """
    quality = {run.id: value for run in summaries if (value := tradeoff.quality(run, metric)) is not None}
    settings = differing(runs, list(quality))
    if len(quality) < 2 or not settings:
        return
    heading, maximize = _("Parallel coordinates of the settings"), metric not in SMALLER_IS_BETTER
    # WebGL draws it, which takes a browser without a graphics card two seconds: only on request.
    with st.expander(heading, icon=":material/ssid_chart:", key=PARALLEL, on_change="rerun") as unfolded:
        if unfolded.open:
            name = run_list.metric_name(metric)
            title = _("{metric} by settings").format(metric=name)
            chart = parallel_coordinates(settings, name, list(quality.values()), maximize, title)
            st.plotly_chart(chart, key="compare.parallel", config=curves.CONFIG)


def scatter(summaries: list[RunSummary], points: list[tradeoff.Point], metric: str, cost: str) -> go.Figure:
    """Return each run by cost and quality, in its colour of the page, and the Pareto front as a step line.

    Args:
        summaries: summaries of the runs.
        points: points of the runs.
        metric: the quality.
        cost: a key of ``COSTS``.
    """
    colours, ids, figure = curves.palette(), [run.id for run in summaries], go.Figure()
    x, y = tradeoff.front_line(points)
    figure.add_scatter(
        x=x, y=y, mode="lines", name=_("Pareto front"), hoverinfo="skip",
        line={"shape": "hv", "dash": "dot", "width": 1.5, "color": curves.GRAY},
    )  # fmt: skip
    name, unit = _(tradeoff.COSTS[cost][0]), tradeoff.COSTS[cost][1]
    label = _("{y} at {x}").format(y="%{y:.4~g}", x=f"%{{x:,.4~r}} {unit}".rstrip())
    for point in points:
        colour = colours[ids.index(point.run) % len(colours)]
        title = plain(run_list.title(point.run))
        figure.add_scatter(
            x=[point.cost], y=[point.quality], mode="markers", name=title,
            marker={"size": 11, "color": colour, "symbol": "circle" if point.on_front else "circle-open"},
            hovertemplate=f"{label}<extra>{title}</extra>",
        )  # fmt: skip
    costs = [point.cost for point in points]
    figure.update_layout(
        height=340,
        margin={"l": 10, "r": 10, "t": 40, "b": 50},
        title={"text": _("Quality against cost"), "font": {"size": 14}},
        xaxis_title=name + (f" ({unit})" if unit else ""),
        yaxis_title=plain(run_list.metric_name(metric)),
        showlegend=False,
        uirevision="stay",
    )
    is_wide = min(costs) > 0 and math.log10(max(costs) / min(costs)) > 1.5
    figure.update_xaxes(type="log" if is_wide else "linear", exponentformat="SI")
    figure.update_yaxes(automargin=True)
    return figure


def differing(runs: list[Run], ids: list[str]) -> dict[str, list[Json]]:
    """Return the settings in which runs differ, by field.

    Args:
        runs: the runs.
        ids: ids of the runs to compare, in this order.
    """
    chosen = [run for run_id in ids for run in runs if run.id == run_id]
    rows = [row for row in comparison.settings_of(chosen, True) if row["field"] not in comparison.NO_SETTING]
    return {row["field"]: row["values"] for row in rows[:MAX_AXES]}
