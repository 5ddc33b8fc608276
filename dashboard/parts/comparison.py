"""Runs side by side: their final figures, curves and settings."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard.parts import curves, run_list
from dashboard.parts.text import cut, duration, gigabytes, interval, md, number, plain
from workbench.errors import WorkbenchError
from workbench.runs import compare as statistics
from workbench.runs.run import Run


def common_metrics(runs: list[dict[str, Any]]) -> list[str]:
    """The metrics that every one of these runs reports, the primary one first."""
    reported = [list((run["report"] or {}).get("metrics") or {}) for run in runs if run["report"]]
    if not reported:
        return []
    shared = [name for name in reported[0] if all(name in names for names in reported)]
    primary = (runs[0]["report"] or {}).get("primary_metric")
    return sorted(shared, key=lambda name: name != primary)


def picture(runs: list[dict[str, Any]], metric: str) -> go.Figure:
    """One metric of each run as a point with its 95% interval."""
    shown = [
        run for run in runs if ((run["report"] or {}).get("metrics") or {}).get(metric, {}).get("value") is not None
    ]
    values = [run["report"]["metrics"][metric] for run in shown]
    middle = [value["value"] for value in values]
    colours = curves.palette()
    places = [runs.index(run) for run in shown]
    figure = go.Figure(
        go.Scatter(
            x=middle,
            y=[plain(run_list.title(run["id"])) for run in shown],
            mode="markers",
            marker={"size": 11, "color": [colours[place % len(colours)] for place in places]},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [_gap(value.get("high"), value["value"]) for value in values],
                "arrayminus": [_gap(value["value"], value.get("low")) for value in values],
                "color": "#7F8A93",
                "thickness": 2,
                "width": 7,
            },
            hovertemplate=f"%{{y}}<br>{plain(metric)} %{{x:.4f}}<extra></extra>",
        )
    )
    figure.update_layout(
        height=110 + 42 * len(shown),
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis_title=plain(f"{run_list.metric_name(metric)} on the test examples, with 95% interval"),
        yaxis={"autorange": "reversed", "automargin": True},
    )
    return figure


def _gap(high: float | None, low: float | None) -> float:
    return max(0.0, high - low) if high is not None and low is not None else 0.0


def figures_table(runs: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Final metrics and cost, a column a run."""
    names: list[str] = []
    for run in runs:
        names += [name for name in (run["report"] or {}).get("metrics") or {} if name not in names]
    costs = {
        "training time": lambda cost: duration(cost.get("seconds")),
        "trained parameters": lambda cost: number(cost.get("trained_parameters")),
        "memory at most": lambda cost: gigabytes(cost.get("peak_memory_bytes")),
        "tokens a second": lambda cost: number(round(cost.get("tokens_per_second") or 0)),
    }
    table = {"Figure": [cut(run_list.metric_name(name), 60) for name in names] + list(costs)}
    for run in runs:
        report = run["report"] or {}
        values = [interval((report.get("metrics") or {}).get(name)) for name in names]
        table[run_list.title(run["id"])] = values + [read(report.get("cost") or {}) or "-" for read in costs.values()]
    return table


def aligned(table: dict[str, list[str]]) -> dict[str, Any]:
    """Column settings that put the runs' figures below each other, to the right."""
    return {name: st.column_config.TextColumn(alignment="right") for name in list(table)[1:]}


def verdicts(runs: list[Run], metric: str | None) -> list[str]:
    """What can be claimed of the first run against each other one, a sentence each; or why nothing can."""
    names = {run.id: run_list.title(run.id) for run in runs}
    try:
        said = [pair.verdict for pair in statistics.compare(runs, metric).pairs]
    except WorkbenchError as error:
        said = [f"These runs cannot be compared example by example. {error}"]
    for run_id, name in names.items():
        said = [sentence.replace(run_id, name) for sentence in said]
    return said


def settings_table(runs: list[Run], only_different: bool) -> dict[str, list[str]]:
    """The settings, a row a field and a column a run."""
    rows = statistics.settings(runs, only_different)
    table = {"Setting": [cut(row["field"], 80) for row in rows]}
    for index, run in enumerate(runs):
        table[run_list.title(run.id)] = [_cell(row["values"], run.id, index) for row in rows]
    return table


def _cell(values: Any, run_id: str, index: int) -> str:
    value = values.get(run_id) if isinstance(values, dict) else values[index]
    return number(value)


def say(sentence: str) -> None:
    """A verdict, as text."""
    st.info(md(sentence, 600), icon=":material/balance:")
