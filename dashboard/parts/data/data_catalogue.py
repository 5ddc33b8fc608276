"""The catalogue as a table; a click on a row chooses that data set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard import state
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import cut
from workbench.data.catalogue.sources import list_entries
from workbench.i18n import _
from workbench.workspace import Workspace

HEIGHT = 300


def draw(names: Sequence[str], chosen: str | None, workspace: Workspace) -> None:
    """Draw data sets of the catalogue, sortable by any column.

    Args:
        names: names of the data sets.
        chosen: the one that is marked, if it is among them.
        workspace: whose cache shows which of them are downloaded.
    """
    entries = [entry for entry in list_entries(workspace, "datasets") if entry["name"] in names]
    if not entries:
        st.caption(_("The catalogue has no data set for this task and language."))
        return
    listed = [entry["name"] for entry in entries]
    # A new key whenever the rows or the mark change, so that the mark stays with the data set.
    key = f"data.catalogue.{hashlib.sha256(repr((listed, chosen)).encode()).hexdigest()[:12]}"

    def choose() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows and rows[0] < len(listed):
            st.session_state[state.Data.DATASET.key] = listed[rows[0]]

    column = st.column_config
    draw_table(
        table(entries),
        column_config={
            "name": column.TextColumn(_("Name"), width=150),
            "task": column.TextColumn(_("Task"), width=125),
            "language": column.TextColumn(_("Language"), width=75),
            "size": column.TextColumn(_("Size"), width=215),
            "download": column.NumberColumn(_("Download (MB)"), format="%.1f", width=95),
            "cached": column.CheckboxColumn(
                _("Downloaded"), width=65, help=_("It is on this disk and needs no network.")
            ),
            "licence": column.TextColumn(_("Licence"), width=170),
            "label": column.TextColumn(_("Description"), width=330),
        },
        height="auto" if len(entries) < 8 else HEIGHT,
        hide_index=True,
        on_select=choose,
        selection_mode="single-row",
        selection_default={"selection": {"rows": [listed.index(chosen)]}} if chosen in listed else None,
        placeholder="",
        csv=False,
        key=key,
    )


def table(entries: Sequence[Mapping[str, object]]) -> dict[str, list[object]]:
    """Return the columns; a data set of an installed package has no download.

    Args:
        entries: as the catalogue describes them.
    """
    sizes = [entry["bytes"] for entry in entries]
    return {
        "name": [entry["name"] for entry in entries],
        "task": [entry["task"] for entry in entries],
        "language": [entry["language"] for entry in entries],
        "size": [cut(entry["size"]) for entry in entries],
        "download": [size / 1e6 if isinstance(size, int | float) and size else None for size in sizes],
        "cached": [bool(entry["cached"]) for entry in entries],
        "licence": [cut(entry["licence"]) for entry in entries],
        "label": [cut(_(str(entry["label"]))) for entry in entries],
    }
