"""A table as it was read: named columns, and for each row its position in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from workbench.errors import DataError

T = TypeVar("T")

MAX_COLUMNS = 10_000


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used.

    Args:
        row: its number in the file.
        reason: a few words by which such rows are counted: ``"the label is missing"``.
        message: a sentence that says what is wrong, with the location.
        hint: what to do.
    """

    row: int
    reason: str
    message: str
    hint: str


class MalformedRowError(DataError):
    """A row that cannot be converted; the other rows can be used."""

    @property
    def kind(self) -> str:
        return "Data"


@dataclass
class Table:
    """A table read from a file.

    Args:
        name: the file's name, for messages and for the ids of rows.
        columns: for each column its values, one per row; strings in a CSV file, any JSON value otherwise.
        rows: for each row its number, from 1: the line of the file where it begins or, in a file without lines, the
            number of the record.
        unit: what ``rows`` counts: ``"line"`` or ``"row"``.
        notes: what was detected while reading: encoding, delimiter, blank lines.
        unusable: columns that cannot be used, with the reason.
        sha256: sha256 of the file's content.
        origin: where the data come from, for the report.
        group: a column whose values stay in one split unless the spec names another; None for none.
        bad_rows: rows that could not be read and are not among ``rows``, if the reader was told to collect them.
    """

    name: str
    columns: dict[str, list[Any]]
    rows: list[int]
    unit: str = "line"
    notes: list[str] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)
    sha256: str = ""
    origin: Mapping[str, object] = field(default_factory=dict)
    group: str | None = None
    bad_rows: list[BadRow] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, index: int) -> str:
        """Return the location of a row, for messages: ``"reviews.csv, line 17"``.

        Args:
            index: position of the row in the table, from 0.
        """
        return f"{self.name}, {self.unit} {self.rows[index]}"

    def take(self, indices: Iterable[int]) -> Table:
        """Return the table with only some of its rows.

        Args:
            indices: positions of the rows, in the order wanted.
        """
        selected = list(indices)
        columns = {name: [values[i] for i in selected] for name, values in self.columns.items()}
        return replace(self, columns=columns, rows=[self.rows[i] for i in selected])

    def exclude(self, bad_rows: Mapping[int, BadRow]) -> Table:
        """Return the table without some rows, which are added to its bad rows.

        Args:
            bad_rows: by position, why the row cannot be used.

        Raises:
            DataError: no row is left; the message is that of the first one.
        """
        if not bad_rows:
            return self
        if len(bad_rows) == len(self):
            first = bad_rows[min(bad_rows)]
            raise DataError(first.message, first.hint)
        result = self.take(i for i in range(len(self)) if i not in bad_rows)
        result.bad_rows = [*self.bad_rows, *bad_rows.values()]
        return result

    def with_columns(self, columns: Mapping[str, Sequence[Any]]) -> Table:
        """Return the same rows with other columns.

        Args:
            columns: for each column its values, one per row.
        """
        return replace(self, columns={name: list(values) for name, values in columns.items()})

    def with_column(self, name: str, values: Sequence[Any]) -> Table:
        """Return the same rows with one column added or replaced.

        Args:
            name: the column.
            values: its values, one per row.
        """
        return self.with_columns({**self.columns, name: values})


def convert_rows(table: Table, convert: Callable[[int], T], reason: str) -> tuple[Table, list[T]]:
    """Convert the rows of a table one by one, and collect the malformed ones among its bad rows.

    Args:
        table: the rows.
        convert: returns what the row at an index becomes; raises MalformedRowError.
        reason: a few words by which malformed rows are counted.

    Returns:
        The table of the rows that can be used, and a value for each of them.

    Raises:
        DataError: every row is malformed; the message is that of the first one.
    """
    values: list[T] = []
    bad: dict[int, BadRow] = {}
    for index in range(len(table)):
        try:
            values.append(convert(index))
        except MalformedRowError as error:
            bad[index] = BadRow(table.rows[index], reason, error.message, error.hint)
    return table.exclude(bad), values


def check_width(columns: int, name: str) -> None:
    """Check the number of columns.

    Args:
        columns: how many there are.
        name: the file's name, for messages.

    Raises:
        DataError: there are more than ``MAX_COLUMNS``.
    """
    if columns > MAX_COLUMNS:
        raise DataError(
            f"{name} has {columns:,} columns; the maximum is {MAX_COLUMNS:,}.", "Remove the columns you do not need."
        )


def check_names(fields: list[str], name: str, line: int) -> list[str]:
    """Return the names of the columns, without surrounding spaces.

    Args:
        fields: the names as they are in the file.
        name: the file's name, for messages.
        line: line (or record) of the names, for messages.

    Raises:
        DataError: a name is missing or duplicated, or there are too many columns.
    """
    check_width(len(fields), name)
    header = [field.strip() for field in fields]
    positions: dict[str, int] = {}
    for position, column in enumerate(header, start=1):
        if not column:
            raise DataError(
                f"{name}, line {line}: column {position} of {len(header)} has no name.",
                "Name every column in the first line (pandas: to_csv(..., index=False)).",
            )
        first = positions.setdefault(column, position)
        if first != position:
            raise DataError(
                f"{name}, line {line}: columns {first} and {position} are both named {column[:60]!r}.",
                "Give every column its own name.",
            )
    return header
