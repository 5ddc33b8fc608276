"""The examples of one part of a data set, by role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Examples:
    """Examples of one part.

    Args:
        columns: role -> values: strings for texts and labels, lists of strings for several labels.
        ids: for each example ``file:row``, the same in every run on the same data.
        rows: for each example its line (or record) in the file.
        unit: what ``rows`` counts: ``"line"`` or ``"row"``.
        extra_columns: name -> values (texts, numbers, None) of the file's other columns. They are saved with the
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
        """For each example where it stands, for messages: ``"reviews.csv, line 17"``."""
        names = (key.rpartition(":")[0] for key in self.ids)
        return [f"{name}, {self.unit} {row}" for name, row in zip(names, self.rows, strict=True)]

    def take(self, indices: Iterable[int]) -> Examples:
        """These examples only, in this order."""
        chosen = list(indices)
        return Examples(
            {role: [values[i] for i in chosen] for role, values in self.columns.items()},
            [self.ids[i] for i in chosen],
            [self.rows[i] for i in chosen],
            self.unit,
            {name: [values[i] for i in chosen] for name, values in self.extra_columns.items()},
        )
