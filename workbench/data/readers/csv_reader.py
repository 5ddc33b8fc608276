"""CSV and its relatives: the delimiter is detected if it is not given; a row that does not fit is reported by line."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from workbench.data.readers.options import ReadOptions
from workbench.data.readers.table import Table, check_names
from workbench.errors import DataError

MAX_FIELD = 1_000_000  # characters in one field: longer than most books' chapters, and a sign of an unclosed quote
DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_ROWS = 1000  # used to detect the delimiter

OpenLines: TypeAlias = Callable[[], Iterable[str]]  # opens a file: its lines from the first on, with their ends
NumberedFields: TypeAlias = tuple[int, list[str]]  # the line where a row begins, and its fields


def read_delimited(text: str, name: str, options: ReadOptions) -> Table:
    """Read a table from a text with one row per line.

    Args:
        text: the content of the file.
        name: the file's name.
        options: how the file is written.

    Raises:
        DataError: a row cannot be read or does not fit the header; the message names the line.
    """

    def lines() -> Iterable[str]:
        return io.StringIO(text, newline="")

    with _long_fields():
        delimiter, notes = _choose_delimiter(lines, name, options)
        try:
            table = _parse(lines, name, delimiter, options.quoting is not False, options)
        except DataError:
            if delimiter != "\t" or options.quoting is not None:
                raise
            # Many tab-separated files have no quoting: the character is plain text, and need not be in pairs.
            table = _parse(lines, name, delimiter, False, options)
            notes.append(_note_unquoted(name))
    table.notes[:0] = notes
    return table


def stream_delimited(
    lines: OpenLines, name: str, options: ReadOptions
) -> tuple[list[str], Callable[[Sequence[str]], Iterator[NumberedFields]], list[str]]:
    """Read a table row by row.

    Args:
        lines: opens the file.
        name: the file's name.
        options: how the file is written.

    Returns:
        The names of the columns; a function that yields the rows, each with its line and its values in the columns it
        is called with; and notes.

    Raises:
        DataError: a row cannot be read; the message names the line. Later rows are checked when they are read.
    """
    with _long_fields():
        delimiter, notes = _choose_delimiter(lines, name, options)
        quoting = options.quoting is not False
        if delimiter == "\t" and options.quoting is None and not _is_quoted(lines, name, options):
            quoting = False
            notes.append(_note_unquoted(name))
        _, header = next(_without_blank(_read_rows(lines(), name, delimiter, quoting, options)), (0, []))

    def rows(names: Sequence[str]) -> Iterator[NumberedFields]:
        indices = [header.index(column) for column in names]
        with _long_fields():
            numbered = _without_blank(_read_rows(lines(), name, delimiter, quoting, options))
            next(numbered)
            for line, fields in numbered:
                yield line, [fields[i] for i in indices]

    return header, rows, notes


@contextlib.contextmanager
def _long_fields() -> Iterator[None]:
    previous = csv.field_size_limit(MAX_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(previous)


# -- delimiter and quotes ---------------------------------------------------------------------------------------------


def _choose_delimiter(lines: OpenLines, name: str, options: ReadOptions) -> tuple[str, list[str]]:
    """Return the delimiter of the options or else the detected one, with a note unless that is the comma."""
    if options.delimiter is not None:
        return options.delimiter, []
    delimiter = _detect_delimiter(lines)
    return delimiter, [] if delimiter == "," else [f"{name}: fields are separated by {_spell(delimiter)}."]


def _detect_delimiter(lines: OpenLines) -> str:
    """Return the delimiter that splits most of the first rows into the same number of fields, at least two."""
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        for quoting in (True, False) if delimiter == "\t" else (True,):
            widths = _count_fields(lines(), delimiter, quoting)
            if widths and widths[0] > 1:
                even = sum(width == widths[0] for width in widths) / len(widths)
                score = (round(even - (0.0 if quoting else 0.001), 4), widths[0])
                if score > best_score:
                    best, best_score = delimiter, score
    return best


def _count_fields(lines: Iterable[str], delimiter: str, quoting: bool) -> list[int]:
    """Return the number of fields of each of the first records, up to the first that cannot be read."""
    widths: list[int] = []
    try:
        for _, fields in _read_records(lines, delimiter, quoting):
            if fields:
                widths.append(len(fields))
            if len(widths) >= _SAMPLE_ROWS:
                break
    except _UnreadableError:
        widths += [0] * max(1, len(widths) // 10)
    return widths


def _is_quoted(lines: OpenLines, name: str, options: ReadOptions) -> bool:
    """Return whether a tab-separated file can be read with quotes, from its first to its last row."""
    try:
        return all(True for _ in _read_rows(lines(), name, "\t", True, options))
    except DataError:
        return False


def _note_unquoted(name: str) -> str:
    return f'{name}: the character " is read as text, because it does not enclose fields here.'


def _spell(delimiter: str) -> str:
    return "tabs" if delimiter == "\t" else repr(delimiter)


# -- rows -------------------------------------------------------------------------------------------------------------


def _parse(lines: OpenLines, name: str, delimiter: str, quoting: bool, options: ReadOptions) -> Table:
    header: list[str] | None = None
    columns: list[list[str]] = []
    rows: list[int] = []
    blank = 0
    for line, fields in _read_rows(lines(), name, delimiter, quoting, options):
        if not fields:
            blank += 1
        elif header is None:
            header, columns = fields, [[] for _ in fields]
        else:
            for values, value in zip(columns, fields, strict=True):
                values.append(value)
            rows.append(line)
    notes = [f"{name}: skipped {blank} blank lines."] if blank else []
    return Table(name, dict(zip(header or [], columns, strict=True)), rows, "line", notes)


def _read_rows(
    lines: Iterable[str], name: str, delimiter: str, quoting: bool, options: ReadOptions
) -> Iterator[NumberedFields]:
    """Yield the names of the columns, then each row, with the line where it begins; a blank line has no fields."""
    header: list[str] | None = list(options.header) if options.header else None
    if header is not None:
        yield 0, header
    try:
        for position, (line, fields) in enumerate(_read_records(lines, delimiter, quoting), start=1):
            if 1 < position <= options.header_lines:
                _check_orange_header(name, line, position, fields, len(header or ()))
                continue
            if fields and header is None:
                fields = header = check_names(fields, name, line)
            elif fields:
                _check_width(name, line, fields, header or [], delimiter)
            yield line, fields
    except _UnreadableError as error:
        raise _csv_problem(name, error) from error


def _without_blank(rows: Iterable[NumberedFields]) -> Iterator[NumberedFields]:
    return (row for row in rows if row[1])


class _UnreadableError(Exception):
    """A record that the csv module could not read: the line where it begins, and the reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def _read_records(lines: Iterable[str], delimiter: str, quoting: bool) -> Iterator[NumberedFields]:
    """Yield the line where each record begins, and its fields; raise _UnreadableError."""
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


# -- errors -----------------------------------------------------------------------------------------------------------


def _csv_problem(name: str, error: _UnreadableError) -> DataError:
    if "end of data" in error.reason:
        problem = 'a quote (") is opened and never closed'
    elif "field limit" in error.reason:
        problem = f"a field is longer than {MAX_FIELD:,} characters; a quote may have been opened and never closed"
    elif "expected after" in error.reason:
        problem = 'text follows a closing quote ("); a quote inside a field is written twice ("")'
    else:
        problem = error.reason
    return DataError(f"{name}, line {error.line}: {problem}.", "Correct that line; the file was not used.")


def _check_width(name: str, line: int, fields: list[str], header: list[str], delimiter: str) -> None:
    if len(fields) != len(header):
        raise DataError(
            f"{name}, line {line}: {len(fields)} {'field' if len(fields) == 1 else 'fields'}, but the header has "
            f"{len(header)} ({', '.join(header)[:120]}), separated by {_spell(delimiter)}.",
            f'Enclose fields that contain {_spell(delimiter)} in quotes ("), or set the right delimiter '
            "(data.delimiter).",
        )


def _check_orange_header(name: str, line: int, position: int, fields: list[str], columns: int) -> None:
    """Check lines 2 to 4 of Orange's format: types, flags, and an empty line."""
    expected = 0 if position == 4 else columns
    if len(fields) != expected:
        raise DataError(
            f"{name}, line {line}: this is not an Orange table with 4 header lines "
            f"({len(fields)} fields where {expected} are expected).",
            "Fetch the data set again.",
        )
