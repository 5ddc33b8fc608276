"""A column of texts for each label.

    {"pos": ["A great film", "What a joy"], "neg": ["Dull", "A waste of time"]}

The names of the columns are the labels. A table is read in this way if no column is called like a text or a label, all
columns hold different texts, and none repeats its values as a column of labels does.
"""

from __future__ import annotations

from workbench.data.columns import CLASSES
from workbench.data.readers.table import Table
from workbench.data.shapes.base import Needs, Shape, find_column, shapes

MIN_DIFFERENT = 0.9  # share of the texts of a column that occur once
MIN_ROWS = 4


@shapes.register("label-keys")
class LabelKeys(Shape):
    """A column of texts for each label."""

    roles = ("text", "label")

    def matches(self, table: Table, needs: Needs) -> bool:
        if needs.column("label").kind not in CLASSES or needs.column("text").kind != "text" or needs.chosen:
            return False
        if len(table.columns) < 2 or len(table) < MIN_ROWS or table.unit != "row":
            return False
        guesses = (needs.column(role).guesses for role in self.roles)
        if find_column(table, ("text", "label", *(name for each in guesses for name in each))) is not None:
            return False
        return all(_are_texts(values, name) for name, values in table.columns.items())

    def convert(self, table: Table, needs: Needs) -> Table:
        cells = [
            (row, name, values[i])
            for name, values in table.columns.items()
            for i, row in enumerate(table.rows)
            if values[i]
        ]
        labels = ", ".join(table.columns)[:120]
        result = Table(
            table.name,
            {needs.name("text"): [text for _, _, text in cells], needs.name("label"): [label for _, label, _ in cells]},
            list(range(1, len(cells) + 1)),
            "row",
            [*table.notes, f"{table.name}: each column holds the texts of a label: {labels}."],
            sha256=table.sha256,
        )
        result.bad_rows = table.bad_rows
        return result


def _are_texts(values: list[object], name: str) -> bool:
    """Return whether a column holds different texts that are longer than its name."""
    texts = [value for value in values if value is not None and value != ""]
    if not texts or not all(isinstance(text, str) for text in texts):
        return False
    different = len(set(texts)) >= MIN_DIFFERENT * len(texts)
    return different and sum(len(str(text)) for text in texts) > len(name) * len(texts)
