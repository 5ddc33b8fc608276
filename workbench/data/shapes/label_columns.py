"""A column of 0 and 1 for each label.

    text,art,money,sport
    The museum sold a painting,1,1,0

The columns are named in the spec: ``columns: {label: [art, money, sport]}``. 1, true and yes mean that the label
applies; 0, false and no that it does not. If a text has one label only, each row needs exactly one 1.
"""

from __future__ import annotations

from workbench.data.columns import CLASSES, require_column
from workbench.data.labels.lists import is_zero_one, join_label_columns
from workbench.data.readers.table import Table, convert_rows
from workbench.data.shapes.base import Needs, Shape, find_column, refused, shapes
from workbench.errors import DataError
from workbench.types import Json


@shapes.register("label-columns")
class LabelColumns(Shape):
    """A column of 0 and 1 for each label."""

    roles = ("label",)

    def matches(self, table: Table, needs: Needs) -> bool:
        column = needs.column("label")
        if column.kind not in CLASSES:
            return False
        if "label" in needs.chosen:
            return isinstance(needs.chosen["label"], list)
        if column.kind == "labels" and find_column(table, ("label", *column.guesses)) is None:
            _suggest_columns(table)
        return False

    def convert(self, table: Table, needs: Needs) -> Table:
        columns = [require_column(table, name, "columns.label") for name in needs.chosen["label"]]
        twice = next((name for name in columns if columns.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"columns.label names {twice!r} twice.", "Name each column once.")
        name = needs.name("label")
        joined = join_label_columns(table, columns, name)
        if needs.column("label").kind == "label":
            good, labels = convert_rows(joined, lambda i: _only_label(joined, name, i), "there is not one label")
            return good.with_column(name, labels)
        return joined


def _only_label(table: Table, column: str, index: int) -> Json:
    """Return the label of a row; raise MalformedRowError if it has none or several."""
    labels: list[str] = table.columns[column][index]
    if len(labels) != 1:
        problem = f"has {len(labels)} labels ({', '.join(labels)}), but one is needed"
        raise refused(
            table.where(index),
            problem if labels else "has no label: all its columns are 0",
            "Write 1 in one of the columns, or use a task with several labels (task.multi_label).",
        )
    return labels[0]


def _suggest_columns(table: Table) -> None:
    """Raise DataError if the table has no column of labels, but several columns of 0 and 1."""
    columns = [name for name, values in table.columns.items() if is_zero_one(values)]
    if len(columns) > 1:
        raise DataError(
            f"{table.name} has no column of labels, but {len(columns)} columns of 0 and 1: "
            f"{', '.join(map(repr, columns[:20]))}.",
            f"If each is a label, name them: columns: {{label: [{', '.join(columns[:20])}]}}.",
        )
