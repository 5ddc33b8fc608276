"""Quality against what it cost, and against the settings: which of the compared runs are worth their price."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts.compare import comparison
from dashboard.parts.shared import curves, run_list, url_widgets
from dashboard.parts.shared.glossary import WORDS
from dashboard.parts.shared.parallel import coordinates
from dashboard.parts.shared.text import md, plain
from workbench.compare import tradeoff
from workbench.metrics.measures import SMALLER_IS_BETTER
from workbench.runs.documents import RunSummary
from workbench.runs.run import Run

MOST_AXES = 8
PARALLEL = "compare.parallel.shown"


def draw(summaries: list[RunSummary], metric: str) -> None:
    """Quality against cost, and in a sentence which runs are worth theirs."""
    cost = url_widgets.select(
        "Cost", list(tradeoff.COSTS), state.Compare.COST, width=260,
        format_func=lambda name: tradeoff.COSTS[name][0],
        help="Time and memory are those of the machine that a run was on: compare runs of one machine.",
    )  # fmt: skip
    found = tradeoff.tradeoff_points(summaries, metric, cost)
    if len(found) < 2:
        st.caption("Two finished runs are needed for a picture.")
        return
    st.plotly_chart(scatter(summaries, found, metric, cost), key="compare.scatter", config=curves.CONFIG)
    names = {point.run: run_list.title(point.run) for point in found}
    st.caption(md(tradeoff.summary_sentence(found, names, metric, cost), 500), help=WORDS["Pareto"])


def draw_settings(summaries: list[RunSummary], runs: list[Run], metric: str) -> None:
    """Every run as a line through its settings to what it reached; nothing where all settings are the same."""
    quality = {run.id: value for run in summaries if (value := tradeoff.quality(run, metric)) is not None}
    settings = differing(runs, list(quality))
    if len(quality) < 2 or not settings:
        return
    heading, maximize = "Every run, setting by setting, as a picture", metric not in SMALLER_IS_BETTER
    # It is drawn by WebGL, which without a graphics card takes a browser two seconds: only when it is wanted.
    with st.expander(heading, icon=":material/ssid_chart:", key=PARALLEL, on_change="rerun") as unfolded:
        if unfolded.open:
            name = run_list.metric_name(metric)
            drawn = coordinates(settings, name, list(quality.values()), maximize, f"{name} by settings")
            st.plotly_chart(drawn, key="compare.parallel", config=curves.CONFIG)


def scatter(summaries: list[RunSummary], found: list[tradeoff.Point], metric: str, cost: str) -> go.Figure:
    """Each run between cost and quality, coloured as everywhere on the page; the Pareto front as a line of steps."""
    colours, places, drawn = curves.palette(), [run.id for run in summaries], go.Figure()
    xs, ys = tradeoff.front_line(found)
    drawn.add_scatter(
        x=xs, y=ys, mode="lines", name="Pareto front", hoverinfo="skip",
        line={"shape": "hv", "dash": "dot", "width": 1.5, "color": "#7F8A93"},
    )  # fmt: skip
    name, unit, _ = tradeoff.COSTS[cost]
    for point in found:
        colour = colours[places.index(point.run) % len(colours)]
        drawn.add_scatter(
            x=[point.cost], y=[point.quality], mode="markers", name=plain(run_list.title(point.run)),
            marker={"size": 11, "color": colour, "symbol": "circle" if point.on_front else "circle-open"},
            hovertemplate=f"%{{y:.4~g}} at %{{x:,.4~r}} {unit}<extra>{plain(run_list.title(point.run))}</extra>",
        )  # fmt: skip
    costs = [point.cost for point in found]
    drawn.update_layout(
        height=340,
        margin={"l": 10, "r": 10, "t": 40, "b": 50},
        title={"text": "Quality against cost", "font": {"size": 14}},
        xaxis_title=name + (f" ({unit})" if unit else ""),
        yaxis_title=plain(run_list.metric_name(metric)),
        showlegend=False,
        uirevision="stay",
    )
    wide = min(costs) > 0 and math.log10(max(costs) / min(costs)) > 1.5
    drawn.update_xaxes(type="log" if wide else "linear", exponentformat="SI")
    drawn.update_yaxes(automargin=True)
    return drawn


def differing(runs: list[Run], ids: list[str]) -> dict[str, list[Any]]:
    """The settings in which the runs with these ids differ, by field."""
    chosen = [run for wanted in ids for run in runs if run.id == wanted]
    rows = [row for row in comparison.settings_of(chosen, True) if row["field"] not in comparison.NO_SETTING]
    return {row["field"]: row["values"] for row in rows[:MOST_AXES]}
