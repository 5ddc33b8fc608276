"""Shapes of rows: how the rows of a file can hold what a task needs, other than one column for each role.

One module per shape. A shape recognizes the columns of a table and rewrites them as the columns of roles. To add one,
add a file with a registered class::

    @shapes.register("title-and-body")
    class TitleAndBody(Shape):
        "Texts whose title is a column of its own."

        roles = ("text",)

        def matches(self, table: Table, needs: Needs) -> bool:
            return "title" in table.columns and "body" in table.columns

        def convert(self, table: Table, needs: Needs) -> Table:
            texts = map("\\n".join, zip(table.columns["title"], table.columns["body"], strict=True))
            return table.with_column(needs.name("text"), list(texts))
"""

from __future__ import annotations

from workbench.data.shapes.base import Needs, Shape, apply_shapes, shapes

__all__ = ["Needs", "Shape", "apply_shapes", "shapes"]
