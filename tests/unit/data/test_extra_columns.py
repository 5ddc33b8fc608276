"""Columns without a role: columns saved with the predictions, and slices by their values."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.compare.slices import slices_by_number
from workbench.data.extra_columns import MAX_CHARACTERS, MAX_COLUMNS, extra_columns
from workbench.data.readers.table import Table
from workbench.runs.predictions import with_columns


def table(**columns: list[Any]) -> Table:
    count = len(next(iter(columns.values())))
    return Table("t.jsonl", columns, list(range(10, 10 + count)))


def test_each_column_has_one_type_and_the_requested_rows() -> None:
    source = table(
        text=["a", "b", "c"], stars=[1, 2.5, None], flag=[True, None, False], mixed=[1, "x", True],
        tags=[["a"], [], []], empty=[None] * 3, long=["y" * 1000, "\ud800", "z"], huge=[10**400, 1, 2],
    )  # fmt: skip
    columns = extra_columns(source, {"text"}, [12, 10])
    assert columns["stars"] == [None, 1.0] and columns["flag"] == [False, True] and columns["mixed"] == ["True", "1"]
    assert columns["long"] == ["z", "y" * MAX_CHARACTERS] and columns["huge"] == [2.0, float("inf")]
    assert set(columns) == {"stars", "flag", "mixed", "long", "huge"}
    assert extra_columns(source, {"text"}, [11])["long"] == ["?"]  # a lone surrogate cannot be saved


def test_a_wide_table_is_reduced_to_its_first_columns() -> None:
    columns = extra_columns(table(**{f"c{i}": ["x", "y"] for i in range(50)}), {"c0"}, [10, 11])
    assert list(columns) == [f"c{i}" for i in range(1, MAX_COLUMNS + 1)]


def test_repeated_row_numbers_have_no_extra_columns() -> None:
    several = Table("folder", {"a": ["x", "y"]}, [1, 1])
    assert extra_columns(several, (), [1]) == {}


def test_columns_are_joined_to_the_predictions_by_id() -> None:
    rows = with_columns({"id": ["b", "a", "packed"], "correct": [True, False, None]}, ["a", "b"], {"correct": [1, 2]})
    assert rows["column:correct"] == [2, 1, None] and rows["correct"] == [True, False, None]


def test_numbers_are_sliced_into_ranges_of_equal_counts() -> None:
    values = [None, *range(40, 0, -1)]
    correct = [True, *(value > 10 for value in range(40, 0, -1))]
    slices = slices_by_number(values, correct)
    assert [each.name for each in slices] == ["1 to 10", "11 to 20", "21 to 30", "31 to 40"]
    assert [each.count for each in slices] == [10] * 4 and [each.share for each in slices] == [0, 1, 1, 1]
    assert all(values[index] <= 10 for index in slices[0].indices if values[index] is not None)
    assert [each.name for each in slices_by_number([0.5, 0.5, 1e-3], [True] * 3)] == ["0.001", "0.5"]
    assert slices_by_number([None], [True]) == []
    with pytest.raises(ValueError, match="one for each example"):
        slices_by_number([1.0], [True, False])
