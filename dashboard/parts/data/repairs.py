"""What can be resolved without editing the file: its encoding and columns, rows to leave out, and labels to merge."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import streamlit as st

from dashboard.parts.data import reading
from dashboard.parts.shared.data import offers, reports
from dashboard.parts.shared.errors import show_error
from dashboard.parts.shared.text import cut
from workbench.data.bad_rows import BadRowsError
from workbench.data.labels.spelling import find_merges
from workbench.errors import WorkbenchError
from workbench.i18n import _, ngettext
from workbench.spec import RunSpec
from workbench.workspace import Workspace


def draw(spec: RunSpec, workspace: Workspace) -> RunSpec:
    """Draw the offers for an upload that needs them; return the spec with those that were accepted.

    Args:
        spec: which data, for which task.
        workspace: whose uploads.
    """
    if not Path(spec.data.train).is_absolute():
        return spec
    return _merge_labels(_leave_out_rows(spec, workspace), workspace)


def _leave_out_rows(spec: RunSpec, workspace: Workspace) -> RunSpec:
    """Offer to leave out the rows that cannot be used, and the other rows as a file.

    Other doubts come first. The page ends with an offer until it is accepted.
    """
    try:
        reports.read_overview(spec, workspace)
        return spec
    except BadRowsError as error:
        refusal = error
    except WorkbenchError as error:
        if offers.has_offer(error):
            offers.draw(error, reading.accept)
            st.stop()
        return spec  # shown below
    path = Path(spec.data.train)
    text = ngettext("Leave out {n} row that cannot be used", "Leave out {n} rows that cannot be used", refusal.count)
    if not st.toggle(text.format(n=f"{refusal.count:,}"), key=f"data.leave_out.{path.name}"):
        show_error(refusal, "data_error")
        st.stop()
    dropped = spec.changed({"data.on_bad_rows": "drop"})
    try:
        rest = reports.usable_rows(dropped, workspace)
    except WorkbenchError:
        return dropped  # shown below
    st.download_button(
        _("Download the other rows (CSV)"),
        rest.encode("utf-8", errors="replace"),
        f"{path.stem}-usable.csv",
        "text/csv",
        key="data.rest",
        icon=":material/download:",
        on_click="ignore",
    )
    return dropped


def _merge_labels(spec: RunSpec, workspace: Workspace) -> RunSpec:
    """Offer to merge labels that look like one class."""
    try:
        report = reports.read_overview(spec, workspace)
    except WorkbenchError:
        return spec  # shown below
    counts: Counter[str] = Counter()
    for part in report["parts"].values():
        counts.update(part["labels"] or {})
    targets = {merge.name: merge.target for merge in find_merges(counts)}
    if not targets:
        return spec
    chosen = st.pills(
        _("Labels to merge"),
        list(targets),
        selection_mode="multi",
        format_func=lambda name: cut(f"{name} → {targets[name]}", 100),
        key=f"data.merges.{Path(spec.data.train).name}",
        help=_("These labels look like another one. A merge applies to the run that you start from here."),
    )
    return spec.changed({"data.labels": {name: targets[name] for name in chosen}}) if chosen else spec
