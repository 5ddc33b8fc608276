"""Runs side by side: their final metrics, the claims that hold, and their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts.shared import curves, run_list, url_widgets
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import cut, md, number, plain
from workbench.compare import differences as statistics
from workbench.compare import seeds
from workbench.compare.differences import Setting
from workbench.compare.report import comparison_report
from workbench.compare.results import SeedGroup
from workbench.errors import WorkbenchError
from workbench.i18n import N_, _
from workbench.runs.documents import RunSummary
from workbench.runs.predictions import JSON_LINES, PARQUET
from workbench.runs.run import Run

NO_SETTING = ("name", "notes", "schema_version", "spec")  # fields that do not change the result
MAX_SENTENCES = 4  # above the table of all comparisons
MAX_SIDE_BY_SIDE = 6  # runs whose settings are columns
MAX_NAME = 44  # characters of a run's name beside a figure

Table = dict[str, list[Any]]
Version = tuple[str | int, ...]


def common_metrics(runs: list[RunSummary]) -> list[str]:
    """Return the metrics that every run reports, the primary metric first.

    Args:
        runs: their summaries.
    """
    reported = [list(run.report.metrics) for run in runs if run.report]
    if not reported:
        return []
    shared = [name for name in reported[0] if all(name in names for names in reported)]
    primary = runs[0].report.primary_metric if runs[0].report else None
    return sorted(shared, key=lambda name: name != primary)


def picture(runs: list[RunSummary], metric: str) -> go.Figure:
    """Return a figure of one metric: a row per run, with a point and its 95% interval.

    Args:
        runs: their summaries.
        metric: its name.
    """
    shown = [run for run in runs if run.metric(metric).value is not None]
    values = [run.metric(metric) for run in shown]
    colours = curves.palette()
    height = max(17, min(42, 900 // max(1, len(shown))))  # of a row, in pixels
    rows = list(range(len(shown)))
    figure = go.Figure(
        go.Scatter(
            x=[value.value for value in values],
            y=rows,
            mode="markers",
            marker={
                "size": 11 if height > 25 else 8,
                "color": [colours[runs.index(run) % len(colours)] for run in shown],
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [_gap(value.high, value.value) for value in values],
                "arrayminus": [_gap(value.value, value.low) for value in values],
                "color": curves.GRAY,
                "thickness": 2,
                "width": 7 if height > 25 else 3,
            },
            text=[plain(run_list.title(run.id), 90) for run in shown],
            hovertemplate=f"%{{text}}<br>{plain(run_list.metric_name(metric))} %{{x:.4f}}<extra></extra>",
        )
    )
    names = [plain(short(run_list.title(run.id))) for run in shown]
    axis = _("{metric} on the test set, with 95% interval").format(metric=run_list.metric_name(metric))
    figure.update_layout(
        height=110 + height * len(shown),
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis_title=plain(axis),
        yaxis={
            "range": [len(shown) - 0.4, -0.6], "automargin": True, "tickvals": rows, "ticktext": names,
            "tickfont": {"size": 12 if height > 25 else 10}, "zeroline": False,
        },
    )  # fmt: skip
    return figure


def short(title: str, max_length: int = MAX_NAME) -> str:
    """Shorten a run's title before its end, which tells two runs of one name apart.

    Args:
        title: title of a run.
        max_length: number of characters.
    """
    name, mark, end = title.rpartition(" (")
    if len(title) <= max_length or not mark:
        return title
    return cut(name, max_length - len(mark + end)) + mark + end


def _gap(high: float | None, low: float | None) -> float:
    return max(0.0, high - low) if high is not None and low is not None else 0.0


COSTS = {  # of a report: heading, unit, format
    "seconds": (N_("Training time (s)"), 1, "%,.0f"),
    "trained_parameters": (N_("Trained parameters"), 1, "%,.0f"),
    "peak_memory_bytes": (N_("Peak memory (GB)"), 1e9, "%.2f"),
    "tokens_per_second": (N_("Tokens per second"), 1, "%,.0f"),
}


def show_metrics(runs: list[RunSummary], metric: str) -> None:
    """Show final metrics and cost, a row per run.

    Args:
        runs: their summaries.
        metric: the one that is shown first, with its interval.
    """
    names = list(dict.fromkeys(name for run in runs if run.report for name in run.report.metrics))
    names.sort(key=lambda name: name != metric)
    column = st.column_config
    table: Table = {"run": [short(run_list.title(run.id)) for run in runs]}
    columns: dict[str, Any] = {"run": column.TextColumn(_("Run"), width=300, pinned=True)}
    for name in names:
        values = [run.metric(name) for run in runs]
        table[name] = [value.value for value in values]
        help = help_for("macro F1") if name == "macro_f1" else None
        columns[name] = column.NumberColumn(cut(run_list.metric_name(name), 60), format="%.4g", help=help)
        if name == metric:
            for end, label in (("low", _("Low")), ("high", _("High"))):
                table[end] = [getattr(value, end) for value in values]
                columns[end] = column.NumberColumn(label, format="%.4g", help=help_for("interval"))
    for name, (heading, unit, layout) in COSTS.items():
        costs = [getattr(run.cost, name) for run in runs]
        table[name] = [None if cost is None else cost / unit for cost in costs]
        columns[name] = column.NumberColumn(_(heading), format=layout)
    draw_table(table, hide_index=True, column_config=columns, key="compare.figures")


@dataclass(frozen=True)
class Claims:
    """What a comparison says.

    Attributes:
        sentences: one per comparison; of many, those with the smallest p-value first.
        pairs: the table of all comparisons.
        groups: the table of settings with their seeds; empty without several seeds.
        notes: further remarks.
        comparable: whether the runs can be compared.
    """

    sentences: list[str]
    pairs: Table
    groups: Table
    notes: list[str]
    comparable: bool


def show_claims(runs: list[Run], metric: str) -> None:
    """Show what can be claimed, over seeds where there are several, or why nothing can; and the report to download.

    Args:
        runs: all are compared with the first one.
        metric: its name.
    """
    with st.spinner(_("Comparing ...")):
        claims = _claims(runs, tuple(map(_version, runs)), metric)
    for sentence in claims.sentences[:MAX_SENTENCES]:
        st.info(md(sentence, 600), icon=":material/balance:")
    if len(claims.sentences) > MAX_SENTENCES:
        _show_pairs(claims.pairs)
        text = _(
            "All {n} comparisons with the first run; p is corrected for their number. The {shown} with the smallest p "
            "are described above."
        )
        st.caption(text.format(n=len(claims.sentences), shown=MAX_SENTENCES))
    if claims.comparable:
        names = {"bootstrap": _("Bootstrap"), "McNemar": _("McNemar's test"), "Holm": _("Holm correction")}
        with st.container(horizontal=True, key="compare.words"):
            for term, name in names.items():
                st.caption(name, help=help_for(term), width="content")
    if claims.groups["setting"]:
        _show_groups(claims.groups)
    for note in claims.notes:
        st.caption(md(note, 600))
    if claims.comparable:
        st.download_button(
            _("Download the comparison as a page"),
            lambda: comparison_report(runs, metric).encode(),
            file_name=f"comparison-{runs[0].id}.html",
            mime="text/html",
            key="compare.download",
            on_click="ignore",
            icon=":material/download:",
            help=_("One HTML file that works offline: verdict, metrics, curves, settings, examples."),
        )


def _show_pairs(table: Table) -> None:
    column = st.column_config
    draw_table(
        table,
        hide_index=True,
        column_config={
            "other": column.TextColumn(_("Compared with")),
            "difference": column.NumberColumn(_("Difference"), format="%.4g", help=_("First run minus this run.")),
            "low": column.NumberColumn(_("Low"), format="%.4g", help=help_for("bootstrap")),
            "high": column.NumberColumn(_("High"), format="%.4g", help=help_for("bootstrap")),
            "p": column.NumberColumn(format="%.4g", help=help_for("Holm")),
            "verdict": column.TextColumn(_("In words")),
        },
        height=_height(table),
        key="compare.pairs",
    )


def _show_groups(table: Table) -> None:
    column = st.column_config
    deviation = _("Standard deviation over the seeds.")
    draw_table(
        table,
        hide_index=True,
        column_config={
            "setting": column.TextColumn(_("Setting")),
            "seeds": column.NumberColumn(_("Seeds")),
            "mean": column.NumberColumn(_("Mean over seeds"), format="%.4g", help=help_for("band")),
            "low": column.NumberColumn(_("Low"), format="%.4g", help=help_for("interval")),
            "high": column.NumberColumn(_("High"), format="%.4g", help=help_for("interval")),
            "deviation": column.NumberColumn(_("Deviation"), format="%.4g", help=deviation),
        },
        height=_height(table),
        key="compare.groups",
    )


def _height(table: Table) -> int:
    return min(320, 38 + 35 * len(next(iter(table.values()))))


@st.cache_data(max_entries=200, show_spinner=False)
def _claims(_runs: list[Run], versions: tuple[Version, ...], metric: str) -> Claims:
    """Return the claims, computed again when a run's files have changed."""
    try:
        by_seed = seeds.compare_seeds(_runs, metric) if seeds.has_seed_groups(_runs) else None
        compared = by_seed or statistics.compare(_runs, metric)
        pairs: Sequence[Any] = compared.pairs
    except WorkbenchError as error:
        reason = _with_titles(str(error), _runs)
        message = _("These runs cannot be compared example by example. {reason}").format(reason=reason)
        return Claims([message], {}, _groups_table([]), [], False)
    sentences = [_with_titles(pair.verdict, _runs) for pair in pairs]
    notes = [_with_titles(note, _runs) for note in compared.notes]
    others = [pair.groups[1] for pair in by_seed.pairs] if by_seed else [run.id for run in _runs[1:]]
    table: Table = {
        "other": [short(_with_titles(name, _runs)) for name in others],
        "difference": [pair.difference for pair in pairs],
        "low": [pair.low for pair in pairs],
        "high": [pair.high for pair in pairs],
        "p": [pair.p_value for pair in pairs],
        "verdict": [cut(sentence, 600) for sentence in sentences],
    }
    groups = _groups_table(by_seed.groups if by_seed else [])
    groups["setting"] = [short(_with_titles(name, _runs), 90) for name in groups["setting"]]
    order = list(range(len(pairs)))
    if len(pairs) > MAX_SENTENCES:
        order.sort(key=lambda i: pairs[i].p_value)
    return Claims([sentences[i] for i in order], table, groups, notes, True)


def _groups_table(groups: Sequence[SeedGroup]) -> Table:
    """Return a row per setting: its mean over seeds."""
    return {
        "setting": [cut(group.name, 90) for group in groups],
        "seeds": [len(group.runs) for group in groups],
        "mean": [group.mean for group in groups],
        "low": [group.low for group in groups],
        "high": [group.high for group in groups],
        "deviation": [group.deviation for group in groups],
    }


def _version(run: Run) -> Version:
    """Return a value that changes when the run's results do."""
    files = (PARQUET, JSON_LINES, "report.json", "status.json", "spec.yaml")
    paths = [run.folder / name for name in files]
    return (str(run.folder), *(path.stat().st_mtime_ns if path.exists() else 0 for path in paths))


def _with_titles(sentence: str, runs: list[Run]) -> str:
    """Return a sentence with titles of runs instead of ids."""
    for run in runs:
        sentence = sentence.replace(run.id, run_list.title(run.id))
    return sentence


def settings_of(runs: list[Run], only_different: bool) -> list[Setting]:
    """See :func:`workbench.compare.differences.compare_settings`; read once until the runs change.

    Args:
        runs: the runs.
        only_different: leave out the settings that are the same in all runs.
    """
    return _settings(runs, tuple(map(_version, runs)), only_different)


@st.cache_data(max_entries=100, show_spinner=False)
def _settings(_runs: list[Run], versions: tuple[Version, ...], only_different: bool) -> list[Setting]:
    return statistics.compare_settings(_runs, only_different)


def show_settings(runs: list[Run]) -> None:
    """Show the settings side by side: a column per run, or, of many runs, a row per run.

    Args:
        runs: the runs.
    """
    only = url_widgets.toggle(_("Only differences"), state.Compare.ONLY_DIFFERENT, default=True)
    rows = settings_of(runs, only)
    if not rows:
        st.caption(_("All settings are the same."))
        return
    names = [short(run_list.title(run.id)) for run in runs]
    values = [[number(value) for value in row["values"]] for row in rows]
    fields = [cut(row["field"], 80) for row in rows]
    if len(runs) <= MAX_SIDE_BY_SIDE:
        key, label, index, headings = "setting", _("Setting"), fields, names
        columns = [list(column) for column in zip(*values, strict=True)]
    else:
        key, label, index, headings, columns = "run", _("Run"), names, fields, values
    table: Mapping[str, Sequence[str]] = {key: index, **dict(zip(headings, columns, strict=True))}
    config = {key: st.column_config.TextColumn(label, pinned=True, width=300)}
    draw_table(table, hide_index=True, column_config=config, key="compare.settings")
