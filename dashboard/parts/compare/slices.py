"""Compare's slices: where each of two runs is better and where worse, by length, label or a column of the data."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.compare import evidence
from dashboard.parts.compare.cached_predictions import load_classified
from dashboard.parts.shared import url_widgets
from dashboard.parts.shared.text import cut, md
from workbench.compare.classified import ClassPredictions
from workbench.compare.slices import SMALL_SLICE, Slice, slices_by_length, slices_by_number, slices_by_value
from workbench.runs.run import Run

LENGTH, LABEL = "length of the text", "right label"
MOST_SLICES, MOST_EXAMPLES = 100, 50
MOST_VALUES = 10  # different numbers that are a slice each; of more, slices are stretches of numbers


def draw(first: Run, second: Run) -> None:
    """A table of slices; a click on one shows the examples of it that the first run gets wrong."""
    ours, theirs = load_classified(first), load_classified(second)
    if ours is None or theirs is None or ours.ids != theirs.ids:
        st.caption("There are slices where both runs answer the same examples, and each answer is right or wrong.")
        return
    ways = list(dict.fromkeys([LENGTH, *([LABEL] if ours.has_classes else []), *ours.more]))
    way = url_widgets.select(
        "By", ways, state.Compare.SLICES, format_func=lambda name: cut(name, 60), width=360,
        help="Columns of your file that the model does not read can be chosen, too. Numbers are cut into quarters.",
    )  # fmt: skip
    slices, others = _slices(ours, way)[:MOST_SLICES], {one.name: one for one in _slices(theirs, way, ours)}
    table: dict[str, list[Any]] = {
        "Slice": [(cut(one.name, 80) or "(empty)") + (" *" if one.is_small else "") for one in slices],
        "Examples": [one.count for one in slices],
        **_shares("First", slices),
        **_shares("Second", [others[one.name] for one in slices]),
        "First minus second": [one.share - others[one.name].share for one in slices],
    }
    numbers = {name: st.column_config.NumberColumn(format="%.3f") for name in list(table)[2:]}
    numbers["First minus second"] = st.column_config.NumberColumn(format="%+.3f")
    event: Any = st.dataframe(
        table, column_config=numbers, hide_index=True, on_select="rerun", selection_mode="single-row",
        key="compare.slices",
    )  # fmt: skip
    st.caption(
        "Share of right answers with Wilson's 95% interval, the worst slice of the first run on top but for numbers. "
        f"A star: fewer than {SMALL_SLICE} examples, of which little can be said. "
        "Of many slices some stand out by chance: "
        "take one that does as a question, and ask it of new data. A row shows its mistakes."
    )
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(slices):
        _show_wrong(ours, theirs, slices[rows[0]], first, second)


def _slices(run: ClassPredictions, way: str, like: ClassPredictions | None = None) -> list[Slice]:
    """``like``: where the columns are taken from, so that both runs are cut the same."""
    source = like or run
    if way == LENGTH:
        return slices_by_length(source.texts, run.correct)
    values = source.gold if way == LABEL else source.more[way]
    if way != LABEL and any(isinstance(value, float) for value in values) and len(set(values)) > MOST_VALUES:
        return slices_by_number(values, run.correct)
    return slices_by_value([_told(value) for value in values], run.correct)


def _told(value: Any) -> Any:
    """A whole number without a point."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _shares(which: str, slices: list[Slice]) -> dict[str, list[float]]:
    return {
        f"{which} is right": [one.share for one in slices],
        f"{which}, from": [one.low for one in slices],
        f"{which}, to": [one.high for one in slices],
    }


def _show_wrong(ours: ClassPredictions, theirs: ClassPredictions, one: Slice, first: Run, second: Run) -> None:
    wrong = [place for place in one.indices if not ours.correct[place]]
    if not wrong:
        st.caption(f"The first run gets all of {md(one.name, 80)} right.")
        return
    seen = wrong[:MOST_EXAMPLES]
    columns = {
        "Right": [cut(ours.gold[place], 60) for place in seen],
        "First": [cut(ours.predicted[place], 60) for place in seen],
        "Second": [cut(theirs.predicted[place], 60) for place in seen],
    }
    evidence.example_table([ours.inputs[place] for place in seen], columns, "compare.slice_examples", first, second)
    st.caption(f"{len(wrong):,} of {one.count:,} that the first run gets wrong.")
