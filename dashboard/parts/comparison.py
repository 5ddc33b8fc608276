"""Runs side by side: their final figures, curves and settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard.parts import curves, run_list
from dashboard.parts.text import cut, duration, gigabytes, interval, md, number, plain
from workbench.errors import WorkbenchError
from workbench.runs import compare as statistics
from workbench.runs import seeds
from workbench.runs.comparison_report import comparison_report
from workbench.runs.predictions import LINES, PARQUET
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


def show_claims(runs: list[Run], metric: str) -> None:
    """What can be claimed, over seeds where there are several, or why nothing can; and the comparison as a file."""
    found = _claims(runs, tuple(map(_mark, runs)), metric)
    for sentence in found.sentences:
        st.info(md(sentence, 600), icon=":material/balance:")
    if found.groups["Setting"]:
        st.dataframe(found.groups, hide_index=True, column_config=aligned(found.groups), key="compare.groups")
    for note in found.notes:
        st.caption(md(note, 600))
    if found.comparable:
        st.download_button(
            "Download the comparison as a page",
            lambda: comparison_report(runs, metric).encode(),
            file_name=f"comparison-{runs[0].id}.html",
            mime="text/html",
            key="compare.download",
            on_click="ignore",
            icon=":material/download:",
            help="One HTML file that opens offline and can be sent: verdict, figures, curves, settings, examples.",
        )


@dataclass(frozen=True)
class Claims:
    """What a comparison says: sentences, settings with their seeds, notes; and whether the runs can be compared."""

    sentences: list[str]
    groups: dict[str, list[str]]
    notes: list[str]
    comparable: bool


@st.cache_data(max_entries=200, show_spinner="Comparing ...")
def _claims(_runs: list[Run], marks: tuple[Any, ...], metric: str) -> Claims:
    """Computed anew when a file in ``marks`` has changed."""
    try:
        found = seeds.over_seeds(_runs, metric) if seeds.have_seeds(_runs) else None
        pairs = found.pairs if found else statistics.compare(_runs, metric).pairs
    except WorkbenchError as error:
        reason = _named(str(error), _runs)
        return Claims([f"These runs cannot be compared example by example. {reason}"], _groups_table([]), [], False)
    said = [_named(pair.verdict, _runs) for pair in pairs]
    notes = [_named(note, _runs) for note in found.notes] if found else []
    return Claims(said, _groups_table(found.groups if found else []), notes, True)


def _groups_table(groups: list[seeds.Group]) -> dict[str, list[str]]:
    """A row a setting: its mean over seeds."""
    return {
        "Setting": [cut(group.name, 90) for group in groups],
        "Seeds": [number(len(group.runs)) for group in groups],
        "Mean over seeds": [interval({"value": group.mean, "low": group.low, "high": group.high}) for group in groups],
        "Deviation": [number(group.deviation) for group in groups],
    }


def _mark(run: Run) -> tuple[Any, ...]:
    """What changes when the run's results do."""
    files = (PARQUET, LINES, "report.json", "status.json", "spec.yaml")
    paths = [run.folder / name for name in files]
    return (str(run.folder), *(path.stat().st_mtime_ns if path.exists() else 0 for path in paths))


def _named(sentence: str, runs: list[Run]) -> str:
    """Titles instead of ids."""
    for run in runs:
        sentence = sentence.replace(run.id, run_list.title(run.id))
    return sentence


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
