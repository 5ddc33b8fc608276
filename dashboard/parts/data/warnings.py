"""What of the data is doubtful, and where it stands: texts that come twice, with different labels, or in two parts."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.parts.shared.text import cut, md, number


def draw(found: dict[str, Any]) -> None:
    """Which column plays which role, and the places of all that the report counts.

    Args:
        found: of :func:`workbench.data.overview.overview`.
    """
    mapping = found.get("mapping") or {}
    if mapping:
        told = " · ".join(f"{md(role.replace('_', ' '))}: *{md(column)}*" for role, column in mapping.items())
        st.caption(f"Columns that are read, by their role: {told}")
    rows = doubts(found)
    if not rows:
        st.caption("No text stands twice in a part, with different labels, or in two parts.")
        return
    with st.expander(f"Doubtful rows, and where they stand ({_sum(found)})", icon=":material/rule:", key="data_doubts"):
        st.dataframe(
            {name: [row[name] for row in rows] for name in ("What", "Part", "Text", "Places")},
            column_config={
                "What": st.column_config.TextColumn(width=150),
                "Part": st.column_config.TextColumn(width=110),
                "Text": st.column_config.TextColumn(width=420),
                "Places": st.column_config.ListColumn(width=420),
            },
            hide_index=True,
            placeholder="",
            key="data.doubts",
        )
        if _listed_fewer(found):
            st.caption("Of each kind the first are listed.")


def doubts(found: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each doubt that the report lists: what, in which part, which text, and its places."""
    rows: list[dict[str, Any]] = []
    for part, counts in found["parts"].items():
        for each in counts["conflicts"]["examples"]:
            rows.append(_row("different labels", part, each["text"], each["places"]))
        for place in counts["duplicates"]["examples"]:
            rows.append(_row("stands there again", part, None, [place]))
    for overlap in found.get("overlaps") or []:
        for each in overlap["examples"]:
            rows.append(_row("stands in both", " and ".join(overlap["between"]), each["text"], each["places"]))
    for left in found.get("left_out") or []:
        if left["rows"]:
            rows.append(_row(f"left out: {left['reason']}", left["part"], None, [f"row {row}" for row in left["rows"]]))
    return rows


def _row(what: str, part: str, text: str | None, places: list[str]) -> dict[str, Any]:
    return {"What": cut(what), "Part": part, "Text": None if text is None else cut(text), "Places": places}


def _sum(found: dict[str, Any]) -> str:
    parts = found["parts"].values()
    counts = {
        "doubles": sum(part["duplicates"]["count"] for part in parts),
        "contradictions": sum(part["conflicts"]["count"] for part in parts),
        "in two parts": sum(overlap["count"] for overlap in found.get("overlaps") or []),
        "left out": sum(left["count"] for left in found.get("left_out") or [] if left["rows"]),
    }
    return ", ".join(f"{number(count)} {what}" for what, count in counts.items() if count)


def _listed_fewer(found: dict[str, Any]) -> bool:
    lists = [part[kind] for part in found["parts"].values() for kind in ("duplicates", "conflicts")]
    lists += found.get("overlaps") or []
    return any(each["count"] > len(each["examples"]) for each in lists)
