"""A table as it was read: named columns, and for each row the place in the file where it stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import DataError

MAX_COLUMNS = 10_000


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
        origin: what else is known of where it comes from, for the report.
        group: a column whose values stay on one side of a split unless the spec names another; None for none.
    """

    name: str
    columns: dict[str, list[Any]]
    rows: list[int]
    unit: str = "line"
    notes: list[str] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)
    sha256: str = ""
    origin: dict[str, Any] = field(default_factory=dict)
    group: str | None = None

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
            self.origin,
            self.group,
        )


def check_names(fields: list[str], name: str, line: int) -> list[str]:
    """The names of columns, without spaces around them. Raises DataError where one is missing or stands twice."""
    header = [field.strip() for field in fields]
    if len(header) > MAX_COLUMNS:
        raise DataError(f"{name}: {len(header):,} columns; at most {MAX_COLUMNS:,} are read.", "Use fewer.")
    for position, column in enumerate(header, start=1):
        if not column:
            raise DataError(
                f"{name}, line {line}: column {position} of {len(header)} has no name.",
                "Give every column a name in the first line (pandas: to_csv(..., index=False)).",
            )
        first = header.index(column) + 1
        if first != position:
            raise DataError(
                f"{name}, line {line}: columns {first} and {position} are both named {column[:60]!r}.",
                "Give every column a name of its own.",
            )
    return header
