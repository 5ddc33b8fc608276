"""What data hold: rows, labels, lengths, what was left out and why; and texts that stand nearly so in two parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import state
from dashboard.parts.data import warnings
from dashboard.parts.shared.text import cut, md, plain
from workbench.data.load import load_data
from workbench.data.overview import find_near_duplicates, overview
from workbench.spec import RunSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

MOST_LABELS = 40  # drawn


def changed(spec: RunSpec) -> int:
    """When an upload changed: what is remembered of it is old then."""
    path = Path(spec.data.train)
    return path.stat().st_mtime_ns if path.is_absolute() and path.is_file() else 0


@st.cache_data(show_spinner="Reading the data ...", max_entries=4)
def _found(document: str, when: int, root: str, near: bool) -> Any:
    spec = RunSpec.model_validate_json(document)
    task = tasks.get(spec.task.name)
    columns = task(task.Config()).columns()
    dataset = load_data(spec.data, columns, Workspace(Path(root)))
    return find_near_duplicates(dataset, columns) if near else overview(dataset, columns)


def draw(spec: RunSpec, workspace: Workspace) -> None:
    """The validation report, labels, lengths and the first rows. Raises DataError: which row is wrong, and why."""
    found = _found(spec.model_dump_json(), changed(spec), str(workspace.root), False)
    parts = found["parts"]
    for part, column in zip(parts, st.columns(len(parts)), strict=True):
        column.metric(f"{part}, rows", f"{parts[part]['rows']:,}")
    for note in found["notes"]:
        st.caption(md(note, 600))
    warnings.draw(found)
    state.from_url(state.Data.SPLIT, lambda given: given if given in parts else None)
    if st.session_state.get(state.Data.SPLIT.key) not in parts:
        st.session_state[state.Data.SPLIT.key] = "train"
    part = str(st.segmented_control("Part", list(parts), key=state.Data.SPLIT.key, required=True))
    state.to_url(state.Data.SPLIT, "" if part == "train" else part)
    labels, lengths = st.columns(2)
    with labels:
        _draw_labels(parts[part]["labels"])
    with lengths:
        _draw_lengths(parts[part]["characters"])
    st.caption("The first rows, with the place where each stands")
    st.dataframe(pd.DataFrame(parts[part]["sample"]), hide_index=True, key="data.sample")


def draw_near(spec: RunSpec, workspace: Workspace) -> None:
    """How many texts of a part stand nearly so in another, and the pairs."""
    found = _found(spec.model_dump_json(), changed(spec), str(workspace.root), True)
    if found is None:
        st.info("There are too many texts to compare here.", icon=":material/info:")
        return
    st.caption("Nearly the same: 80% or more of the sequences of five characters are shared by two texts.")
    for overlap in found:
        first, second = overlap["between"]
        least = "At least " if overlap["unchecked"] else ""
        text = f"{least}{overlap['count']:,} of {overlap['of']:,} texts of {second} stand nearly so in {first}."
        (st.warning if overlap["count"] else st.success)(md(text))
        if overlap["pairs"]:
            st.dataframe(pd.DataFrame(overlap["pairs"]), hide_index=True, key=f"data.near.{first}.{second}")


def _draw_labels(labels: dict[str, int] | None) -> None:
    if not labels:
        st.caption("This task has no labels.")
        return
    most = sorted(labels.items(), key=lambda item: -item[1])[:MOST_LABELS]
    names = [f"{plain(name, 30)}" for name, _ in most]
    bars = go.Bar(x=[count for _, count in most], y=list(range(len(most))), orientation="h")
    figure = go.Figure(bars).update_yaxes(tickvals=list(range(len(most))), ticktext=names, autorange="reversed")
    _plot(figure, "rows", "data.labels")
    if len(labels) > MOST_LABELS:
        st.caption(cut(f"{len(labels) - MOST_LABELS} rarer labels are not drawn."))


def _draw_lengths(lengths: dict[str, Any]) -> None:
    width = lengths["edges"][1] - lengths["edges"][0]
    _plot(
        go.Figure(go.Bar(x=lengths["edges"][:-1], y=lengths["counts"], offset=0, width=width)),
        "length of a text in characters",
        "data.lengths",
    )
    st.caption(f"Median {lengths['p50']:,}; 95% are up to {lengths['p95']:,}; the longest has {lengths['max']:,}.")


def _plot(figure: go.Figure, axis: str, key: str) -> None:
    figure.update_layout(height=240, margin={"l": 10, "r": 10, "t": 10, "b": 40}, xaxis_title=axis)
    st.plotly_chart(figure, key=key, config={"displayModeBar": False})
