"""Slices: where a run, or each of two, is better and worse, by length, label or a column of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import streamlit as st

from dashboard import state
from dashboard.parts.compare import evidence
from dashboard.parts.compare.cached_predictions import load_classified
from dashboard.parts.compare.evidence import Column
from dashboard.parts.shared import url_widgets
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import cut, md
from workbench.compare.classified import ClassPredictions
from workbench.compare.pairing import same_examples
from workbench.compare.slices import SMALL_SLICE, Slice, slices_by_length, slices_by_number, slices_by_value
from workbench.i18n import N_, _
from workbench.runs.run import Run

LENGTH, LABEL = "length of the text", "right label"
NAMES = {LENGTH: N_("text length"), LABEL: N_("actual label")}
MAX_SLICES, MAX_EXAMPLES = 100, 50
MAX_VALUES = 10  # different numbers that are a slice each; of more, slices are ranges


def draw(first: Run, second: Run | None = None) -> None:
    """Draw a table of slices; a click on one shows the examples in it that the first run gets wrong.

    Args:
        first: a finished run.
        second: another; None for one run.
    """
    ours, theirs = load_classified(first), None if second is None else load_classified(second)
    if ours is None:
        st.caption(_("Slices need predictions that are right or wrong."))
        return
    if second is not None and (theirs is None or ours.ids != theirs.ids or not same_examples(first, second)):
        st.caption(_("Slices need two runs tested on the same examples, with predictions that are right or wrong."))
        return
    options = list(dict.fromkeys([LENGTH, *([LABEL] if ours.has_classes else []), *ours.more]))
    by = url_widgets.select(
        _("Slice by"),
        options,
        state.Compare.SLICES,
        format_func=lambda name: _(NAMES[name]) if name in NAMES else cut(name, 60),
        width=360,
        help=_(
            "You can also choose columns of your file that the model does not read. Numbers are cut into quartiles."
        ),
    )
    slices = _slices(ours, by)[:MAX_SLICES]
    others = {} if theirs is None else {slice.name: slice for slice in _slices(theirs, by, ours)}
    compared: dict[str, list[float]] = {}
    if theirs is not None:
        compared = _accuracies("second", [others[slice.name] for slice in slices])
        compared["difference"] = [slice.share - others[slice.name].share for slice in slices]
    event: Any = draw_table(
        {
            "slice": [(cut(slice.name, 80) or _("(empty)")) + (" ★" if slice.is_small else "") for slice in slices],
            "examples": [slice.count for slice in slices],
            **_accuracies("first", slices),
            **compared,
        },
        column_config=_columns(is_single=second is None),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key="compare.slices",
    )
    st.caption(
        _(
            "Accuracy with 95% Wilson interval, worst slice first (numeric columns in order). ★ fewer than {n} "
            "examples. With many slices some differ by chance: confirm on new data. Click a row to see its errors."
        ).format(n=SMALL_SLICE)
    )
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(slices):
        _show_errors_in(ours, theirs, slices[rows[0]], first, second)


def _columns(is_single: bool) -> dict[str, object]:
    column = st.column_config
    if is_single:
        labels = {"first": _("Accuracy"), "first_low": _("Low"), "first_high": _("High")}
        return {
            "slice": column.TextColumn(_("Slice")),
            "examples": column.NumberColumn(_("Examples")),
            **{name: column.NumberColumn(label, format="%.3f") for name, label in labels.items()},
        }
    labels = {
        "first": _("First run, accuracy"),
        "first_low": _("First run, low"),
        "first_high": _("First run, high"),
        "second": _("Second run, accuracy"),
        "second_low": _("Second run, low"),
        "second_high": _("Second run, high"),
    }
    return {
        "slice": column.TextColumn(_("Slice")),
        "examples": column.NumberColumn(_("Examples")),
        **{name: column.NumberColumn(label, format="%.3f") for name, label in labels.items()},
        "difference": column.NumberColumn(_("First minus second"), format="%+.3f"),
    }


def _slices(run: ClassPredictions, by: str, like: ClassPredictions | None = None) -> list[Slice]:
    """Return the slices of a run; ``like`` provides the columns, so that both runs are cut the same way."""
    source = like or run
    if by == LENGTH:
        return slices_by_length(source.texts, run.correct)
    values: Sequence[object] = source.gold if by == LABEL else source.more[by]
    if by != LABEL and any(isinstance(value, float) for value in values) and len(set(values)) > MAX_VALUES:
        return slices_by_number(cast("Sequence[float | None]", values), run.correct)
    return slices_by_value([_without_point(value) for value in values], run.correct)


def _without_point(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _accuracies(prefix: str, slices: Sequence[Slice]) -> dict[str, list[float]]:
    return {
        prefix: [slice.share for slice in slices],
        f"{prefix}_low": [slice.low for slice in slices],
        f"{prefix}_high": [slice.high for slice in slices],
    }


def _show_errors_in(
    ours: ClassPredictions, theirs: ClassPredictions | None, slice: Slice, first: Run, second: Run | None
) -> None:
    wrong = [index for index in slice.indices if not ours.correct[index]]
    if not wrong:
        text = (
            _("There are no errors in {slice}.") if second is None else _("The first run makes no errors in {slice}.")
        )
        st.caption(text.format(slice=md(slice.name, 80)))
        return
    shown = wrong[:MAX_EXAMPLES]
    columns = [
        Column("gold", _("Actual"), [cut(ours.gold[index], 60) for index in shown]),
        Column(
            "first",
            _("Predicted") if theirs is None else _("First run"),
            [cut(ours.predicted[index], 60) for index in shown],
        ),
    ]
    if theirs is not None:
        columns.append(Column("second", _("Second run"), [cut(theirs.predicted[index], 60) for index in shown]))
    inputs = [ours.inputs[index] for index in shown]
    evidence.example_table(inputs, columns, "compare.slice_examples", first, second)
    text = _("{n} of {total} examples are wrong.")
    if second is not None:
        text = _("The first run gets {n} of {total} examples wrong.")
    st.caption(text.format(n=f"{len(wrong):,}", total=f"{slice.count:,}"))
