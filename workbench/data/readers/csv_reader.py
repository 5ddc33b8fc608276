"""CSV and its relatives: the delimiter is found where it is not given; a row that does not fit is told by its line."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence

from workbench.data.catalogue.entries import ReadOptions
from workbench.data.readers.table import Table, check_names
from workbench.errors import DataError

MAX_FIELD = 1_000_000  # characters in one field: longer than most books' chapters, and a sign of an unclosed quote
DELIMITERS = (",", ";", "\t", "|")
Lines = Callable[[], Iterable[str]]  # gives a file's lines, with their ends, from the first on
_SAMPLE_ROWS = 1000  # rows that the delimiter is judged by


def read_delimited(text: str, name: str, options: ReadOptions) -> Table:
    """The table in a text whose rows are lines. Raises DataError, with the line."""
    with _long_fields():
        return _parse_delimited(text, name, options)


def stream_delimited(
    lines: Lines, name: str, options: ReadOptions
) -> tuple[list[str], Callable[[Sequence[str]], Iterator[tuple[int, list[str]]]], list[str]]:
    """The same, a row at a time: names of the columns, what gives the rows (the line of each, and its values in the
    columns named), and notes. Raises DataError, with the line, once the rows are read up to there."""
    with _long_fields():
        delimiter, notes = _find_delimiter(lines, name, options)
        quoting = options.quoting is not False
        if delimiter == "\t" and options.quoting is None and not _is_quoted(lines, name, options):
            quoting = False
            notes.append(_unquoted(name))
        _, header = next(_without_blank(_rows(lines(), name, delimiter, quoting, options)), (0, []))

    def rows(names: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
        places = [header.index(wanted) for wanted in names]
        with _long_fields():
            found = _without_blank(_rows(lines(), name, delimiter, quoting, options))
            next(found)
            for line, fields in found:
                yield line, [fields[place] for place in places]

    return header, rows, notes


def _is_quoted(lines: Lines, name: str, options: ReadOptions) -> bool:
    """Whether all of a tab-separated file can be read with quotes."""
    try:
        return all(True for _ in _rows(lines(), name, "\t", True, options))
    except DataError:
        return False


@contextlib.contextmanager
def _long_fields() -> Iterator[None]:
    previous = csv.field_size_limit(MAX_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(previous)


def _find_delimiter(lines: Lines, name: str, options: ReadOptions) -> tuple[str, list[str]]:
    """The options's delimiter; where it names none the one that is found, with a note unless that is the comma."""
    if options.delimiter is not None:
        return options.delimiter, []
    found = _sniff(lines)
    return found, [] if found == "," else [f"{name}: fields are separated by {_spell(found)}."]


def _unquoted(name: str) -> str:
    return f'{name}: the character " is read as text, because it does not enclose fields here.'


def _parse_delimited(text: str, name: str, options: ReadOptions) -> Table:
    def lines() -> Iterable[str]:
        return io.StringIO(text, newline="")

    delimiter, notes = _find_delimiter(lines, name, options)
    try:
        table = _parse(lines, name, delimiter, options.quoting is not False, options)
    except DataError:
        if delimiter != "\t" or options.quoting is not None:
            raise
        # Many tab-separated files have no quoting: the character stands for itself, and need not be in pairs.
        table = _parse(lines, name, delimiter, False, options)
        notes.append(_unquoted(name))
    table.notes[:0] = notes
    return table


class _UnreadableError(Exception):
    """What the csv module could not read: the line where the record begins, and its reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def _records(lines: Iterable[str], delimiter: str, quoting: bool) -> Iterator[tuple[int, list[str]]]:
    """The line where each record begins, and its fields. Raises _UnreadableError."""
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


def _sniff(lines: Lines) -> str:
    """The delimiter under which the first rows have the most even number of fields, at least two."""
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        for quoting in (True, False) if delimiter == "\t" else (True,):
            widths = _widths(lines(), delimiter, quoting)
            if widths and widths[0] > 1:
                even = sum(width == widths[0] for width in widths) / len(widths)
                score = (round(even - (0.0 if quoting else 0.001), 4), widths[0])
                if score > best_score:
                    best, best_score = delimiter, score
    return best


def _widths(lines: Iterable[str], delimiter: str, quoting: bool) -> list[int]:
    """Number of fields of each of the first records, up to the first that cannot be read."""
    widths: list[int] = []
    try:
        for _, fields in _records(lines, delimiter, quoting):
            if fields:
                widths.append(len(fields))
            if len(widths) >= _SAMPLE_ROWS:
                break
    except _UnreadableError:
        widths += [0] * max(1, len(widths) // 10)
    return widths


def _spell(delimiter: str) -> str:
    return "tabs" if delimiter == "\t" else repr(delimiter)


def _parse(lines: Lines, name: str, delimiter: str, quoting: bool, options: ReadOptions) -> Table:
    header: list[str] | None = None
    columns: list[list[str]] = []
    rows: list[int] = []
    blank = 0
    for line, fields in _rows(lines(), name, delimiter, quoting, options):
        if not fields:
            blank += 1
        elif header is None:
            header, columns = fields, [[] for _ in fields]
        else:
            for values, value in zip(columns, fields, strict=True):
                values.append(value)
            rows.append(line)
    notes = [f"{name}: {blank} blank lines were passed over."] if blank else []
    return Table(name, dict(zip(header or [], columns, strict=True)), rows, "line", notes)


def _rows(
    lines: Iterable[str], name: str, delimiter: str, quoting: bool, options: ReadOptions
) -> Iterator[tuple[int, list[str]]]:
    """The names of the columns, then each row, with the line where it begins; a blank line has no fields."""
    header: list[str] | None = list(options.header) if options.header else None
    if header is not None:
        yield 0, header
    try:
        for position, (line, fields) in enumerate(_records(lines, delimiter, quoting), start=1):
            if 1 < position <= options.header_lines:
                _check_orange(name, line, position, fields, len(header or ()))
                continue
            if fields and header is None:
                fields = header = check_names(fields, name, line)
            elif fields:
                _check_width(name, line, fields, header or [], delimiter)
            yield line, fields
    except _UnreadableError as error:
        raise _csv_problem(name, error) from error


def _without_blank(rows: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    return (row for row in rows if row[1])


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


def _check_orange(name: str, line: int, position: int, fields: list[str], columns: int) -> None:
    """Lines 2 to 4 of Orange's format: types, flags, and an empty line."""
    expected = 0 if position == 4 else columns
    if len(fields) != expected:
        raise DataError(
            f"{name}, line {line}: this is not a table of Orange with 4 header lines "
            f"({len(fields)} fields where {expected} are expected).",
            "Fetch the data set again.",
        )
