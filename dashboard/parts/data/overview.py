"""The content of a data set: rows, labels, lengths, what was left out and why; and near-duplicates between splits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts.data import warnings
from dashboard.parts.shared import notes, url_widgets
from dashboard.parts.shared.data import reports
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import md, plain
from workbench.data.overview import Histogram
from workbench.i18n import N_, _
from workbench.runs.report_notes import from_json
from workbench.spec import RunSpec
from workbench.workspace import Workspace

MAX_LABELS = 40  # that are drawn
SPLITS = {"train": N_("training set"), "valid": N_("validation set"), "test": N_("test set")}


def split_name(split: str) -> str:
    """Return the name of a split.

    Args:
        split: ``train``, ``valid`` or ``test``.
    """
    return _(SPLITS.get(split, split))


def draw(spec: RunSpec, workspace: Workspace) -> None:
    """Draw the validation report, labels, lengths and the first rows.

    Args:
        spec: whose data.
        workspace: whose cache is used.

    Raises:
        DataError: a row is invalid; the message says which and why.
    """
    report = reports.read_overview(spec, workspace)
    splits = report["parts"]
    for name, column in zip(splits, st.columns(len(splits)), strict=True):
        column.metric(_("Rows, {split}").format(split=split_name(name)), f"{splits[name]['rows']:,}")
    notes.draw(from_json(report["notes"]))
    warnings.draw_languages(report)
    warnings.draw(report)
    options = list(splits)
    default = "train" if "train" in options else options[0]
    split: Any = url_widgets.segments(_("Split"), options, state.Data.SPLIT, default, format_func=split_name)
    labels, lengths = st.columns(2)
    with labels:
        _draw_labels(splits[split]["labels"])
    with lengths:
        _draw_lengths(splits[split]["characters"])
    st.caption(_("Preview"))
    sample = pd.DataFrame(splits[split]["sample"])
    headings = {name: st.column_config.Column(_heading(str(name))) for name in sample.columns}
    draw_table(sample, column_config=headings, hide_index=True, key="data.sample")


def draw_near_duplicates(spec: RunSpec, workspace: Workspace) -> None:
    """Draw how many texts of a split nearly appear in another, and the pairs.

    Args:
        spec: whose data.
        workspace: whose cache is used.
    """
    overlaps = reports.near_duplicates(spec, workspace)
    if overlaps is None:
        st.info(_("There are too many texts to compare here."), icon=":material/info:")
        return
    st.caption(_("Near-duplicates: two texts that share 80% or more of their sequences of five characters."))
    for overlap in overlaps:
        first, second = overlap["between"]
        text = _("{n} of {total} texts in the {second} nearly appear in the {first}.")
        if overlap["unchecked"]:
            text = _("At least {n} of {total} texts in the {second} nearly appear in the {first}.")
        text = text.format(
            n=f"{overlap['count']:,}", total=f"{overlap['of']:,}", second=split_name(second), first=split_name(first)
        )
        (st.warning if overlap["count"] else st.success)(md(text))
        if overlap["pairs"]:
            pairs = pd.DataFrame(overlap["pairs"])
            headings = {name: st.column_config.Column(_heading(str(name))) for name in pairs.columns}
            draw_table(pairs, column_config=headings, hide_index=True, key=f"data.near.{first}.{second}")


def _heading(name: str) -> str:
    """Return the heading of a column of the report."""
    return _(name.replace("_", " ").replace("place", "location"))


def _draw_labels(labels: Mapping[str, int] | None) -> None:
    if not labels:
        st.caption(_("This task has no class labels."))
        return
    most = sorted(labels.items(), key=lambda item: -item[1])[:MAX_LABELS]
    names = [f"{plain(name, 30)}" for name, count in most]
    bars = go.Bar(x=[count for name, count in most], y=list(range(len(most))), orientation="h")
    figure = go.Figure(bars).update_yaxes(tickvals=list(range(len(most))), ticktext=names, autorange="reversed")
    _plot(figure, _("rows"), "data.labels")
    if len(labels) > MAX_LABELS:
        st.caption(_("{n} rarer labels are not shown.").format(n=len(labels) - MAX_LABELS))


def _draw_lengths(lengths: Histogram) -> None:
    width = lengths["edges"][1] - lengths["edges"][0]
    _plot(
        go.Figure(go.Bar(x=lengths["edges"][:-1], y=lengths["counts"], offset=0, width=width)),
        _("text length in characters"),
        "data.lengths",
    )
    st.caption(
        _("Median {median}; 95% have at most {p95}; the longest has {max}.").format(
            median=f"{lengths['p50']:,}", p95=f"{lengths['p95']:,}", max=f"{lengths['max']:,}"
        )
    )


def _plot(figure: go.Figure, axis: str, key: str) -> None:
    figure.update_layout(height=240, margin={"l": 10, "r": 10, "t": 10, "b": 40}, xaxis_title=axis)
    st.plotly_chart(figure, key=key, config={"displayModeBar": False})
