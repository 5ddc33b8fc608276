"""Compare's slices: where each of two runs is better and where worse, by length, by label or by a column."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.parts.judged import judged
from dashboard.parts.text import cut, md, number
from workbench.runs.classified import Classified
from workbench.runs.run import Run
from workbench.runs.slices import FEW, Slice, by_length, by_value

LENGTH, LABEL = "length of the text", "right label"
MOST_SLICES, MOST_EXAMPLES = 100, 50


def draw(first: Run, second: Run) -> None:
    """A table of slices; a click on one shows the examples of it that the first run gets wrong."""
    ours, theirs = judged(first), judged(second)
    if ours is None or theirs is None or ours.ids != theirs.ids:
        st.caption("There are slices where both runs answer the same examples, and each answer is right or wrong.")
        return
    ways = [LENGTH, *([LABEL] if ours.has_classes else []), *ours.more]
    way = st.selectbox("By", ways, format_func=lambda name: cut(name, 60), key="compare.slice_by", width=260)
    slices, others = _slices(ours, way), {one.name: one for one in _slices(theirs, way, ours)}
    event: Any = st.dataframe(
        {
            "Slice": [cut(one.name, 80) for one in slices],
            "Examples": [one.count for one in slices],
            "First is right": [_share(one) for one in slices],
            "Second is right": [_share(others[one.name]) for one in slices],
        },
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key="compare.slices",
    )
    st.caption(
        f"Share of right answers with Wilson's 95% interval, the worst slice of the first run on top but for lengths. "
        f"A star: fewer than {FEW} examples, of which little can be said. Of many slices some stand out by chance: "
        "take one that does as a question, and ask it of new data."
    )
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(slices):
        _show_wrong(ours, slices[rows[0]])


def _slices(run: Classified, way: str, like: Classified | None = None) -> list[Slice]:
    """``like``: where the columns are taken from, so that both runs are cut the same."""
    source = like or run
    if way == LENGTH:
        return by_length(source.texts, run.correct)
    return by_value(source.gold if way == LABEL else source.more[way], run.correct)[:MOST_SLICES]


def _share(one: Slice) -> str:
    return f"{number(one.share)} ({number(one.low)} to {number(one.high)}){' *' if one.few else ''}"


def _show_wrong(run: Classified, one: Slice) -> None:
    wrong = [place for place in one.places if not run.correct[place]]
    if not wrong:
        st.caption(f"The first run gets all of {md(one.name, 80)} right.")
        return
    st.dataframe(
        {
            "Text": [cut(run.texts[place], 300) for place in wrong[:MOST_EXAMPLES]],
            "Right": [cut(run.gold[place], 60) for place in wrong[:MOST_EXAMPLES]],
            "First": [cut(run.predicted[place], 60) for place in wrong[:MOST_EXAMPLES]],
        },
        column_config={"Text": st.column_config.TextColumn(width="large")},
        hide_index=True,
        key="compare.slice_examples",
    )
    st.caption(f"{len(wrong):,} of {one.count:,} that the first run gets wrong.")
