"""The catalogue as a table: a click on a row chooses that data set."""

from __future__ import annotations

import hashlib
from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.shared.text import cut
from workbench.data.catalogue.sources import list_entries
from workbench.workspace import Workspace

HEIGHT = 300


def draw(names: list[str], chosen: str | None, workspace: Workspace) -> None:
    """Some data sets of the catalogue, to be sorted by any column.

    Args:
        names: which of them.
        chosen: the one that is marked, if it is among them.
        workspace: whose cache tells which of them are fetched.
    """
    entries = [entry for entry in list_entries(workspace, "datasets") if entry["name"] in names]
    if not entries:
        st.caption("No data set of the catalogue is of this task and language.")
        return
    listed = [entry["name"] for entry in entries]
    # A new key whenever the rows or the mark move, so that the mark stays with the data set.
    key = f"data.catalogue.{hashlib.sha256(repr((listed, chosen)).encode()).hexdigest()[:12]}"

    def choose() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows and rows[0] < len(listed):
            st.session_state[state.Data.DATASET.key] = listed[rows[0]]

    st.dataframe(
        table(entries),
        column_config={
            "Name": st.column_config.TextColumn(width=150),
            "Task": st.column_config.TextColumn(width=125),
            "Language": st.column_config.TextColumn(width=75),
            "Size": st.column_config.TextColumn(width=215),
            "Download, MB": st.column_config.NumberColumn(format="%.1f", width=95),
            "Fetched": st.column_config.CheckboxColumn(width=65, help="It lies on this disk and needs no network."),
            "Licence": st.column_config.TextColumn(width=170),
            "What it is": st.column_config.TextColumn(width=330),
        },
        height="auto" if len(entries) < 8 else HEIGHT,
        hide_index=True,
        on_select=choose,
        selection_mode="single-row",
        selection_default={"selection": {"rows": [listed.index(chosen)]}} if chosen in listed else None,
        placeholder="",
        key=key,
    )


def table(entries: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The columns; a data set that comes with an installed package has no download."""
    return {
        "Name": [entry["name"] for entry in entries],
        "Task": [entry["task"] for entry in entries],
        "Language": [entry["language"] for entry in entries],
        "Size": [cut(entry["size"]) for entry in entries],
        "Download, MB": [entry["bytes"] / 1e6 if entry["bytes"] else None for entry in entries],
        "Fetched": [bool(entry["cached"]) for entry in entries],
        "Licence": [cut(entry["licence"]) for entry in entries],
        "What it is": [cut(entry["label"]) for entry in entries],
    }
