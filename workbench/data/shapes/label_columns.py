"""A column of 0 and 1 for each label of a multi-label task.

    text,art,money,sport
    The museum sold a painting,1,1,0

The columns are named in the spec: ``columns: {label: [art, money, sport]}``. 1, true and yes mean that the label
applies; 0, false and no that it does not.
"""

from __future__ import annotations

from workbench.data.columns import require_column
from workbench.data.label_lists import is_zero_one, join_label_columns
from workbench.data.readers.table import Table
from workbench.data.shapes.base import Needs, Shape, find_column, shapes
from workbench.errors import DataError


@shapes.register("label-columns")
class LabelColumns(Shape):
    """A column of 0 and 1 for each label."""

    roles = ("label",)

    def matches(self, table: Table, needs: Needs) -> bool:
        column = needs.column("label")
        if column.kind != "labels":
            return False
        if "label" in needs.chosen:
            return isinstance(needs.chosen["label"], list)
        if find_column(table, ("label", *column.guesses)) is None:
            _suggest_columns(table)
        return False

    def convert(self, table: Table, needs: Needs) -> Table:
        columns = [require_column(table, name, "columns.label") for name in needs.chosen["label"]]
        twice = next((name for name in columns if columns.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"columns.label names {twice!r} twice.", "Name each column once.")
        return join_label_columns(table, columns, needs.name("label"))


def _suggest_columns(table: Table) -> None:
    """Raise DataError if the table has no column of labels, but several columns of 0 and 1."""
    columns = [name for name, values in table.columns.items() if is_zero_one(values)]
    if len(columns) > 1:
        raise DataError(
            f"{table.name} has no column of labels, but {len(columns)} columns of 0 and 1: "
            f"{', '.join(map(repr, columns[:20]))}.",
            f"If each is a label, name them: columns: {{label: [{', '.join(columns[:20])}]}}.",
        )
