"""What a column holds: shown above it, so that nobody takes a ticket number for a class."""

from __future__ import annotations

import pytest

from workbench.data.cells.column_facts import column_facts
from workbench.types import Json


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([f"T-{n}" for n in range(40)], "id"),
        ([n for n in range(1000, 1040)], "id"),
        ([n + 0.5 for n in range(40)], "number"),
        ([f"2025-01-{n % 28 + 1:02}" for n in range(40)], "date"),
        (["3.4.2024 09:30"] * 40, "date"),
        (["yes", "no"] * 20, "class"),
        ([1, 2, 3, 4] * 10, "class"),
        ([f"a sentence number {n}" for n in range(40)], "text"),
        ([f"name{n}" for n in range(5)], "text"),
        ([["a", "b"]] * 40, "other"),
        (["", None, "  "], "empty"),
    ],
)
def test_the_kind_of_a_column(values: list[Json], kind: str) -> None:
    assert column_facts(values)["kind"] == kind


def test_empty_and_different_values_are_counted() -> None:
    facts = column_facts(["a", " a", "b", None, ""])
    assert (facts["empty"], facts["different"]) == (2, 2)
