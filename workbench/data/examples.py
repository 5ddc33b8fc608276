"""The examples of one split of a data set, by role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

SplitName: TypeAlias = Literal["train", "valid", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "valid", "test")


@dataclass
class Examples:
    """The examples of one split.

    Args:
        columns: role -> values; the type of a value depends on the kind of its column
            (:class:`workbench.data.columns.Column`).
        ids: for each example ``file:row``, the same in every run on the same data.
        rows: for each example its line (or record) in the file.
        unit: what ``rows`` counts: ``"line"`` or ``"row"``.
        extra_columns: name -> values (text, numbers, None) of the file's other columns. They are saved with the
            predictions so that results can be sliced by them; no model reads them, and the train split has none.
    """

    columns: dict[str, list[Any]]
    ids: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    unit: str = "line"
    extra_columns: dict[str, list[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def locations(self) -> list[str]:
        """Return where each example is in its file, for messages: ``"reviews.csv, line 17"``."""
        names = (key.rpartition(":")[0] for key in self.ids)
        return [f"{name}, {self.unit} {row}" for name, row in zip(names, self.rows, strict=True)]

    def take(self, indices: Iterable[int]) -> Examples:
        """Return only some of the examples.

        Args:
            indices: positions of the examples, in the order wanted.
        """
        selected = list(indices)
        return Examples(
            {role: [values[i] for i in selected] for role, values in self.columns.items()},
            [self.ids[i] for i in selected],
            [self.rows[i] for i in selected],
            self.unit,
            {name: [values[i] for i in selected] for name, values in self.extra_columns.items()},
        )
