"""Problems of the data and where they are: language, duplicates, conflicting labels, texts in more than one split."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import cut, md
from workbench.data.overview import Overview
from workbench.data.text.language import Languages
from workbench.i18n import _, ngettext


def draw(report: Overview) -> None:
    """Draw which columns are used, and the locations of everything that the report counts.

    Args:
        report: the result of :func:`workbench.data.overview.overview`.
    """
    mapping = report.get("mapping") or {}
    if mapping:
        columns = " · ".join(f"{md(_(role.replace('_', ' ')))}: *{md(column)}*" for role, column in mapping.items())
        st.caption(_("Columns used: {columns}").format(columns=columns))
    rows = problems(report)
    if not rows:
        st.caption(_("No duplicate texts, within or across splits."))
        return
    heading = _("Problems in the data ({counts})").format(counts=_counts(report))
    with st.expander(heading, icon=":material/rule:", key="data_doubts"):
        draw_table(
            {name: [row[name] for row in rows] for name in ("problem", "split", "text", "rows")},
            column_config={
                "problem": st.column_config.TextColumn(_("Problem"), width=150),
                "split": st.column_config.TextColumn(_("Split"), width=110),
                "text": st.column_config.TextColumn(_("Text"), width=420),
                "rows": st.column_config.ListColumn(_("Rows"), width=420),
            },
            hide_index=True,
            placeholder="",
            key="data.doubts",
        )
        if _is_truncated(report):
            st.caption(_("Only the first examples of each problem are listed."))


def draw_languages(report: Overview) -> None:
    """Draw the languages of the texts.

    Args:
        report: the result of :func:`workbench.data.overview.overview`.
    """
    languages = Languages(**report["languages"])
    st.caption(_("Language: {languages}").format(languages=md(languages.describe())))


def problems(report: Overview) -> list[dict[str, object]]:
    """Return a row for each problem that the report lists: what, in which split, which text, which rows.

    Args:
        report: the result of :func:`workbench.data.overview.overview`.
    """
    rows: list[dict[str, object]] = []
    for split, counts in report["parts"].items():
        for example in counts["conflicts"]["examples"]:
            rows.append(_row(_("conflicting labels"), split, example["text"], example["places"]))
        for location in counts["duplicates"]["examples"]:
            rows.append(_row(_("duplicate"), split, None, [location]))
    for overlap in report.get("overlaps") or []:
        for example in overlap["examples"]:
            splits = _("{first} and {second}").format(first=overlap["between"][0], second=overlap["between"][1])
            rows.append(_row(_("in both splits"), splits, example["text"], example["places"]))
    for group in report.get("left_out") or []:
        if group["rows"]:
            locations = [_("row {n}").format(n=row) for row in group["rows"]]
            reason = _("left out: {reason}").format(reason=_(group["reason"]))
            rows.append(_row(reason, group["part"], None, locations))
    return rows


def _row(problem: str, split: str, text: str | None, rows: Sequence[str]) -> dict[str, object]:
    return {"problem": cut(problem), "split": split, "text": None if text is None else cut(text), "rows": list(rows)}


def _counts(report: Overview) -> str:
    splits = report["parts"].values()
    duplicates = sum(split["duplicates"]["count"] for split in splits)
    conflicts = sum(split["conflicts"]["count"] for split in splits)
    overlaps = sum(overlap["count"] for overlap in report.get("overlaps") or [])
    left_out = sum(group["count"] for group in report.get("left_out") or [] if group["rows"])
    counts = [
        (duplicates, ngettext("{n} duplicate", "{n} duplicates", duplicates)),
        (conflicts, ngettext("{n} conflicting label", "{n} conflicting labels", conflicts)),
        (overlaps, ngettext("{n} in two splits", "{n} in two splits", overlaps)),
        (left_out, ngettext("{n} left out", "{n} left out", left_out)),
    ]
    return ", ".join(text.format(n=f"{count:,}") for count, text in counts if count)


def _is_truncated(report: Overview) -> bool:
    lists = [split[kind] for split in report["parts"].values() for kind in ("duplicates", "conflicts")]
    lists += report.get("overlaps") or []
    return any(entry["count"] > len(entry["examples"]) for entry in lists)
