"""A table as it was read: named columns, and for each row the place in the file where it stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Table:
    """A table read from a file.

    Args:
        name: the file's name, for messages and for the ids of rows.
        columns: for each column its values, one a row; strings in a CSV file, anything JSON has otherwise.
        rows: for each row its number: the line of the file where it begins (from 1) or, where a file has no lines,
            the number of the record (from 1).
        unit: what ``rows`` counts: ``"line"`` or ``"row"``.
        notes: what was found out while reading: encoding, delimiter, blank lines.
        unusable: columns that cannot be used, with the reason.
        sha256: of the file's content.
    """

    name: str
    columns: dict[str, list[Any]]
    rows: list[int]
    unit: str = "line"
    notes: list[str] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)
    sha256: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, index: int) -> str:
        """Where a row stands, for messages: ``"reviews.csv, line 17"``."""
        return f"{self.name}, {self.unit} {self.rows[index]}"

    def take(self, indices: Iterable[int]) -> Table:
        """The same table with these rows only, in this order."""
        chosen = list(indices)
        return Table(
            self.name,
            {name: [values[i] for i in chosen] for name, values in self.columns.items()},
            [self.rows[i] for i in chosen],
            self.unit,
            self.notes,
            self.unusable,
            self.sha256,
        )
