"""Runs side by side: their final figures, curves and settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts.shared import curves, run_list, url_widgets
from dashboard.parts.shared.glossary import WORDS
from dashboard.parts.shared.text import cut, md, number, plain
from workbench.compare import differences as statistics
from workbench.compare import seeds
from workbench.compare.report import comparison_report
from workbench.errors import WorkbenchError
from workbench.runs.documents import RunSummary
from workbench.runs.predictions import JSON_LINES, PARQUET
from workbench.runs.run import Run

NO_SETTING = ("name", "notes", "schema_version", "spec")  # fields that change nothing in the result
MOST_SENTENCES = 4  # above the table of all comparisons
MOST_SIDE_BY_SIDE = 6  # runs whose settings stand in columns
LONGEST_NAME = 44  # characters of a run's name beside a figure


def common_metrics(runs: list[RunSummary]) -> list[str]:
    """The metrics that every one of these runs reports, the primary one first."""
    reported = [list(run.report.metrics) for run in runs if run.report]
    if not reported:
        return []
    shared = [name for name in reported[0] if all(name in names for names in reported)]
    primary = runs[0].report.primary_metric if runs[0].report else None
    return sorted(shared, key=lambda name: name != primary)


def picture(runs: list[RunSummary], metric: str) -> go.Figure:
    """One metric of each run as a point with its 95% interval, a row a run."""
    shown = [run for run in runs if run.metric(metric).value is not None]
    values = [run.metric(metric) for run in shown]
    colours = curves.palette()
    places = [runs.index(run) for run in shown]
    high = max(17, min(42, 900 // max(1, len(shown))))  # of a row, in pixels
    rows = list(range(len(shown)))
    figure = go.Figure(
        go.Scatter(
            x=[value.value for value in values],
            y=rows,
            mode="markers",
            marker={"size": 11 if high > 25 else 8, "color": [colours[place % len(colours)] for place in places]},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [_gap(value.high, value.value) for value in values],
                "arrayminus": [_gap(value.value, value.low) for value in values],
                "color": "#7F8A93",
                "thickness": 2,
                "width": 7 if high > 25 else 3,
            },
            text=[plain(run_list.title(run.id), 90) for run in shown],
            hovertemplate=f"%{{text}}<br>{plain(metric)} %{{x:.4f}}<extra></extra>",
        )
    )
    names = [plain(short(run_list.title(run.id))) for run in shown]
    figure.update_layout(
        height=110 + high * len(shown),
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis_title=plain(f"{run_list.metric_name(metric)} on the test examples, with 95% interval"),
        yaxis={
            "range": [len(shown) - 0.4, -0.6], "automargin": True, "tickvals": rows, "ticktext": names,
            "tickfont": {"size": 12 if high > 25 else 10}, "zeroline": False,
        },
    )  # fmt: skip
    return figure


def short(title: str, longest: int = LONGEST_NAME) -> str:
    """A run's title without its middle: the end, which alone tells two runs of one name apart, stays."""
    name, mark, end = title.rpartition(" (")
    return title if len(title) <= longest or not mark else cut(name, longest - len(mark + end)) + mark + end


def _gap(high: float | None, low: float | None) -> float:
    return max(0.0, high - low) if high is not None and low is not None else 0.0


def show_figures(runs: list[RunSummary], metric: str) -> None:
    """Final metrics and cost, a row a run; a click on a heading sorts."""
    names = list(dict.fromkeys(name for run in runs for name in _metric_names(run)))
    names.sort(key=lambda name: name != metric)
    value = {name: [run.metric(name) for run in runs] for name in names}
    table: dict[str, list[Any]] = {"Run": [short(run_list.title(run.id)) for run in runs]}
    columns: dict[str, Any] = {"Run": st.column_config.TextColumn(width=300, pinned=True)}
    for name in names:
        heading = cut(run_list.metric_name(name), 60)
        table[heading] = [found.value for found in value[name]]
        columns[heading] = st.column_config.NumberColumn(format="%.4g", help=_word_for(name))
        if name == metric:
            table |= {"from": [found.low for found in value[name]]}
            table |= {"to": [found.high for found in value[name]]}
            columns |= {end: st.column_config.NumberColumn(format="%.4g", help=WORDS["interval"]) for end in _ENDS}
    for key, (heading, unit, layout) in _COSTS.items():
        paid = [getattr(run.cost, key) for run in runs]
        table[heading] = [None if one is None else one / unit for one in paid]
        columns[heading] = st.column_config.NumberColumn(format=layout)
    st.dataframe(table, hide_index=True, column_config=columns, key="compare.figures")


_ENDS = ("from", "to")
_COSTS = {  # of a report: heading, what one unit of it is, layout
    "seconds": ("Training time (s)", 1, "%,.0f"),
    "trained_parameters": ("Trained parameters", 1, "%,.0f"),
    "peak_memory_bytes": ("Memory at most (GB)", 1e9, "%.2f"),
    "tokens_per_second": ("Tokens a second", 1, "%,.0f"),
}


def _metric_names(run: RunSummary) -> list[str]:
    return list(run.report.metrics) if run.report else []


def _word_for(metric: str) -> str | None:
    return WORDS["macro F1"] if metric == "macro_f1" else None


def show_claims(runs: list[Run], metric: str) -> None:
    """What can be claimed, over seeds where there are several, or why nothing can; and the comparison as a file."""
    found = _claims(runs, tuple(map(_mark, runs)), metric)
    for sentence in found.sentences[:MOST_SENTENCES]:
        st.info(md(sentence, 600), icon=":material/balance:")
    if len(found.sentences) > MOST_SENTENCES:
        _show_table(found.pairs, "compare.pairs")
        st.caption(
            f"All {len(found.sentences)} comparisons with the first one; p is corrected for their number. The "
            f"{MOST_SENTENCES} with the smallest p are said above."
        )
    if found.comparable:
        with st.container(horizontal=True, key="compare.words"):
            for word in ("bootstrap", "McNemar", "Holm"):
                st.caption(word, help=WORDS[word], width="content")
    if found.groups["Setting"]:
        _show_table(found.groups, "compare.groups")
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


def _show_table(table: dict[str, list[Any]], key: str) -> None:
    numbers = {name: st.column_config.NumberColumn(format="%.4g", help=help_) for name, help_ in _HELP.items()}
    shown_numbers = {name: column for name, column in numbers.items() if name in table}
    height = min(320, 38 + 35 * len(next(iter(table.values()))))
    st.dataframe(table, hide_index=True, column_config=shown_numbers, height=height, key=key)


_HELP = {
    "Mean over seeds": WORDS["band"],
    "From": WORDS["interval"],
    "To": WORDS["interval"],
    "Deviation": "Standard deviation over the seeds.",
    "Difference": "The first one less this one.",
    "Lower": WORDS["bootstrap"],
    "Upper": WORDS["bootstrap"],
    "p": WORDS["Holm"],
}


@dataclass(frozen=True)
class Claims:
    """What a comparison says: sentences, the figures behind them, settings with their seeds, notes; and whether the
    runs can be compared."""

    sentences: list[str]  # of many, those with the smallest p first
    pairs: dict[str, list[Any]]
    groups: dict[str, list[Any]]
    notes: list[str]
    comparable: bool


@st.cache_data(max_entries=200, show_spinner="Comparing ...")
def _claims(_runs: list[Run], marks: tuple[Any, ...], metric: str) -> Claims:
    """Computed anew when a file in ``marks`` has changed."""
    try:
        found = seeds.compare_seeds(_runs, metric) if seeds.has_seed_groups(_runs) else None
        pairs: Sequence[Any] = found.pairs if found else statistics.compare(_runs, metric).pairs
    except WorkbenchError as error:
        reason = _named(str(error), _runs)
        said = [f"These runs cannot be compared example by example. {reason}"]
        return Claims(said, {}, _groups_table([]), [], False)
    said = [_named(pair.verdict, _runs) for pair in pairs]
    notes = [_named(note, _runs) for note in found.notes] if found else []
    others = [pair.groups[1] for pair in found.pairs] if found else [run.id for run in _runs[1:]]
    table: dict[str, list[Any]] = {
        "The first beside": [short(_named(name, _runs)) for name in others],
        "Difference": [pair.difference for pair in pairs],
        "Lower": [pair.low for pair in pairs],
        "Upper": [pair.high for pair in pairs],
        "p": [pair.p_value for pair in pairs],
        "In words": [cut(sentence, 600) for sentence in said],
    }
    groups = _groups_table(found.groups if found else [])
    groups["Setting"] = [short(_named(name, _runs), 90) for name in groups["Setting"]]
    told = (
        sorted(range(len(pairs)), key=lambda i: pairs[i].p_value) if len(pairs) > MOST_SENTENCES else range(len(pairs))
    )
    return Claims([said[i] for i in told], table, groups, notes, True)


def _groups_table(groups: Sequence[seeds.SeedGroup]) -> dict[str, list[Any]]:
    """A row a setting: its mean over seeds."""
    return {
        "Setting": [cut(group.name, 90) for group in groups],
        "Seeds": [len(group.runs) for group in groups],
        "Mean over seeds": [group.mean for group in groups],
        "From": [group.low for group in groups],
        "To": [group.high for group in groups],
        "Deviation": [group.deviation for group in groups],
    }


def _mark(run: Run) -> tuple[Any, ...]:
    """What changes when the run's results do."""
    files = (PARQUET, JSON_LINES, "report.json", "status.json", "spec.yaml")
    paths = [run.folder / name for name in files]
    return (str(run.folder), *(path.stat().st_mtime_ns if path.exists() else 0 for path in paths))


def _named(sentence: str, runs: list[Run]) -> str:
    """Titles instead of ids."""
    for run in runs:
        sentence = sentence.replace(run.id, run_list.title(run.id))
    return sentence


def settings_of(runs: list[Run], only_different: bool) -> list[dict[str, Any]]:
    """See :func:`workbench.compare.differences.compare_settings`; read once for as long as the runs are as they are."""
    return _settings(runs, tuple(map(_mark, runs)), only_different)


@st.cache_data(max_entries=100, show_spinner=False)
def _settings(_runs: list[Run], marks: tuple[Any, ...], only_different: bool) -> list[dict[str, Any]]:
    return statistics.compare_settings(_runs, only_different)


def show_settings(runs: list[Run]) -> None:
    """The settings side by side: a column a run, or where there are many a row a run."""
    only = url_widgets.toggle("Only what differs", state.Compare.ONLY_DIFFERENT, default=True)
    rows = settings_of(runs, only)
    if not rows:
        st.caption("All settings are the same.")
        return
    names = [short(run_list.title(run.id)) for run in runs]
    values = [[number(value) for value in row["values"]] for row in rows]
    fields = [cut(row["field"], 80) for row in rows]
    first = {"Setting": fields} if len(runs) <= MOST_SIDE_BY_SIDE else {"Run": names}
    beside = zip(*values, strict=True) if len(runs) <= MOST_SIDE_BY_SIDE else values
    headings = names if len(runs) <= MOST_SIDE_BY_SIDE else fields
    table = first | dict(zip(headings, map(list, beside), strict=True))
    columns = {next(iter(first)): st.column_config.TextColumn(pinned=True, width=300)}
    st.dataframe(table, hide_index=True, column_config=columns, key="compare.settings")
