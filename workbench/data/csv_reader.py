"""CSV and its relatives: the delimiter is found where it is not given; a row that does not fit is told by its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from workbench.data.catalogue import Layout
from workbench.data.table import Table, check_names
from workbench.errors import DataError

MAX_FIELD = 1_000_000  # characters in one field: longer than most books' chapters, and a sign of an unclosed quote
DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_ROWS = 1000  # rows that the delimiter is judged by


def read_delimited(text: str, name: str, layout: Layout) -> Table:
    """The table in a text whose rows are lines. Raises DataError, with the line."""
    previous = csv.field_size_limit(MAX_FIELD)
    try:
        return _parse_delimited(text, name, layout)
    finally:
        csv.field_size_limit(previous)


def _parse_delimited(text: str, name: str, layout: Layout) -> Table:
    notes: list[str] = []
    delimiter = layout.delimiter
    if delimiter is None:
        delimiter = _sniff(text)
        if delimiter != ",":
            notes.append(f"{name}: fields are separated by {_spell(delimiter)}.")
    try:
        table = _parse(text, name, delimiter, layout.quoting is not False, layout)
    except DataError:
        if delimiter != "\t" or layout.quoting is not None:
            raise
        # Many tab-separated files have no quoting: the character stands for itself, and need not be in pairs.
        table = _parse(text, name, delimiter, False, layout)
        notes.append(f'{name}: the character " is read as text, because it does not enclose fields here.')
    table.notes[:0] = notes
    return table


class _UnreadableError(Exception):
    """What the csv module could not read: the line where the record begins, and its reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def _records(text: str, delimiter: str, quoting: bool) -> Iterator[tuple[int, list[str]]]:
    """The line where each record begins, and its fields. Raises _UnreadableError."""
    lines = io.StringIO(text, newline="")
    reader = csv.reader(
        lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE, strict=True
    )
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _UnreadableError(line, str(error)) from error
        yield line, fields


def _sniff(text: str) -> str:
    """The delimiter under which the first rows have the most even number of fields, at least two."""
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        for quoting in (True, False) if delimiter == "\t" else (True,):
            widths = _widths(text, delimiter, quoting)
            if widths and widths[0] > 1:
                even = sum(width == widths[0] for width in widths) / len(widths)
                score = (round(even - (0.0 if quoting else 0.001), 4), widths[0])
                if score > best_score:
                    best, best_score = delimiter, score
    return best


def _widths(text: str, delimiter: str, quoting: bool) -> list[int]:
    """Number of fields of each of the first records, up to the first that cannot be read."""
    widths: list[int] = []
    try:
        for _, fields in _records(text, delimiter, quoting):
            if fields:
                widths.append(len(fields))
            if len(widths) >= _SAMPLE_ROWS:
                break
    except _UnreadableError:
        widths += [0] * max(1, len(widths) // 10)
    return widths


def _spell(delimiter: str) -> str:
    return "tabs" if delimiter == "\t" else repr(delimiter)


def _parse(text: str, name: str, delimiter: str, quoting: bool, layout: Layout) -> Table:
    header: list[str] | None = list(layout.header) if layout.header else None
    columns: list[list[str]] = [[] for _ in header or ()]
    rows: list[int] = []
    blank = 0
    try:
        for position, (line, fields) in enumerate(_records(text, delimiter, quoting), start=1):
            if 1 < position <= layout.header_lines:
                _check_orange(name, line, position, fields, columns)
            elif not fields:
                blank += 1
            elif header is None:
                header = check_names(fields, name, line)
                columns = [[] for _ in header]
            else:
                _check_width(name, line, fields, header, delimiter)
                for values, value in zip(columns, fields, strict=True):
                    values.append(value)
                rows.append(line)
    except _UnreadableError as error:
        raise _csv_problem(name, error) from error
    notes = [f"{name}: {blank} blank lines were passed over."] if blank else []
    return Table(name, dict(zip(header or [], columns, strict=True)), rows, "line", notes)


def _csv_problem(name: str, error: _UnreadableError) -> DataError:
    if "end of data" in error.reason:
        what = 'a quote (") is opened and never closed'
    elif "field limit" in error.reason:
        what = f"a field is longer than {MAX_FIELD:,} characters; a quote may have been opened and never closed"
    elif "expected after" in error.reason:
        what = 'text stands after a closing quote ("); a quote inside a field is written twice ("")'
    else:
        what = error.reason
    return DataError(f"{name}, line {error.line}: {what}.", "Mend that line; the file was not used.")


def _check_width(name: str, line: int, fields: list[str], header: list[str], delimiter: str) -> None:
    if len(fields) != len(header):
        raise DataError(
            f"{name}, line {line}: {len(fields)} {'field' if len(fields) == 1 else 'fields'}, where the header has "
            f"{len(header)} ({', '.join(header)[:120]}), separated by {_spell(delimiter)}.",
            f'A field that holds {_spell(delimiter)} must be enclosed in quotes ("). Is the delimiter right '
            "(data.delimiter)?",
        )


def _check_orange(name: str, line: int, position: int, fields: list[str], columns: list[list[str]]) -> None:
    """Lines 2 to 4 of Orange's format: types, flags, and an empty line."""
    expected = 0 if position == 4 else len(columns)
    if len(fields) != expected:
        raise DataError(
            f"{name}, line {line}: this is not a table of Orange with 4 header lines "
            f"({len(fields)} fields where {expected} are expected).",
            "Fetch the data set again.",
        )
