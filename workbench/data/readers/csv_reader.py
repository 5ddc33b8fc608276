"""CSV and its relatives: the delimiter is detected if it is not given; a row that does not fit is reported by line."""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from workbench.data.readers.csv_dialect import (
    SAMPLE_ROWS,
    Columns,
    Dialect,
    NumberedFields,
    OpenLines,
    Skipped,
    UnreadableError,
    detect_dialect,
    find_columns,
    note_comments,
    note_escaped,
    read_records,
    spell,
)
from workbench.data.readers.limits import MAX_VALUES, too_many_values
from workbench.data.readers.options import ReadOptions
from workbench.data.readers.table import BadRow, Table
from workbench.errors import DataError

MAX_FIELD = 1_000_000  # characters in one field: longer than most books' chapters, and a sign of an unclosed quote

_RULE = re.compile(r"\s*:?-{2,}:?\s*")
_OTHER_QUOTES = ("'", "\u2018", "\u201c", "\u201e", "\u00ab", "`")
MAX_UNREADABLE = 100  # rows with broken quotes that are collected


def read_delimited(lines: OpenLines, name: str, options: ReadOptions, collect_bad_rows: bool = False) -> Table:
    """Read a table from a file with one row per line.

    Args:
        lines: opens the file: its lines, with their ends.
        name: the file's name.
        options: how the file is written.
        collect_bad_rows: whether rows that cannot be read are collected in the table instead of refused, unless they
            are most of the file.

    Raises:
        DataError: a row cannot be read or does not fit the header; the message names the line.
    """
    with _long_fields():
        dialect, notes = detect_dialect(lines, name, options)
        if not dialect.quoting and options.quoting is None:
            notes.append(_note_unquoted(name))
        try:
            table = _parse(lines, name, dialect, options)
        except DataError as error:
            try:
                table, note = _parse_otherwise(lines, name, dialect, options, error)
                notes.append(note)
            except DataError:
                if not collect_bad_rows:
                    raise
                table = _parse_collecting(lines, name, dialect, options, error)
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
        dialect, notes = detect_dialect(lines, name, options)
        maybe_unquoted = dialect.delimiter == "\t" and options.quoting is None and dialect.quoting
        if maybe_unquoted and not dialect.escaped and not _is_readable(lines, name, dialect, options):
            dialect = replace(dialect, quoting=False)
        if not dialect.quoting and options.quoting is None:
            notes.append(_note_unquoted(name))
        columns, column_notes = _columns(lines, name, dialect, options)

    def rows(names: Sequence[str]) -> Iterator[NumberedFields]:
        indices = [columns.names.index(column) for column in names]
        with _long_fields():
            for line, fields in _read_rows(lines(), name, dialect, options, columns, Skipped()):
                if fields:
                    yield line, [fields[i] for i in indices]

    return columns.names, rows, [*notes, *column_notes]


@contextlib.contextmanager
def _long_fields() -> Iterator[None]:
    previous = csv.field_size_limit(MAX_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(previous)


def _parse_otherwise(
    lines: OpenLines, name: str, dialect: Dialect, options: ReadOptions, error: DataError
) -> tuple[Table, str]:
    """Read a file whose first rows misled: return the table and a note; raise ``error`` if no other way fits."""
    ways: list[tuple[Dialect, str]] = []
    if dialect.quoting and not dialect.escaped and any('\\"' in line for line in lines()):
        ways.append((replace(dialect, escaped=True), note_escaped(name)))
    if dialect.quoting and dialect.delimiter == "\t" and options.quoting is None:
        # Many tab-separated files have no quoting: the character is plain text, and need not be in pairs.
        ways.append((replace(dialect, quoting=False, escaped=False), _note_unquoted(name)))
    for way, note in ways:
        with contextlib.suppress(DataError):
            return _parse(lines, name, way, options), note
    raise error


def _is_readable(lines: OpenLines, name: str, dialect: Dialect, options: ReadOptions) -> bool:
    """Return whether a file can be read in this dialect, from its first to its last row."""
    try:
        columns, _ = _columns(lines, name, dialect, options)
        return all(True for _ in _read_rows(lines(), name, dialect, options, columns, Skipped()))
    except DataError:
        return False


def _note_unquoted(name: str) -> str:
    return f'{name}: the character " is read as text, because it does not enclose fields here.'


# -- rows -------------------------------------------------------------------------------------------------------------


def _parse_collecting(lines: OpenLines, name: str, dialect: Dialect, options: ReadOptions, error: DataError) -> Table:
    """Return a table that lists the rows that cannot be read; raise ``error`` if they are most of the file."""
    bad: dict[int, BadRow] = {}

    def readable_lines() -> Iterator[str]:
        return ("\n" if number in bad else line for number, line in enumerate(lines(), start=1))

    for _ in range(MAX_UNREADABLE):
        try:
            table = _parse(readable_lines, name, dialect, options, bad)
            break
        except _UnreadableRowError as problem:  # read again without that line: a quote may have swallowed others
            bad[problem.line] = BadRow(problem.line, "the quotes are not closed", problem.message, problem.hint)
        except DataError:
            raise error from None
    else:
        raise error
    if len(bad) > len(table):
        raise error
    table.bad_rows = [bad[line] for line in sorted(bad)]
    return table


def _parse(
    lines: OpenLines, name: str, dialect: Dialect, options: ReadOptions, bad: dict[int, BadRow] | None = None
) -> Table:
    """Return the table; rows that do not fit the header are added to ``bad``, or refused if it is None."""
    columns, column_notes = _columns(lines, name, dialect, options)
    values: list[list[str]] = [[] for _ in columns.names]
    rows: list[int] = []
    blank = 0
    notes_on_rule: list[str] = []
    most = MAX_VALUES // max(1, len(columns.names))
    skipped = Skipped()
    for line, fields in _read_rows(lines(), name, dialect, options, columns, skipped, bad):
        if not fields:
            blank += 1
            continue
        if not rows and dialect.delimiter == "|" and all(map(_RULE.fullmatch, fields)):
            notes_on_rule.append(
                f"{name}: skipped line {line}, which is the rule below the header of a Markdown table."
            )
            continue
        for column, value in zip(values, fields, strict=True):
            column.append(value)
        rows.append(line)
        if len(rows) > most:
            raise too_many_values(name, len(rows) * len(columns.names))
    blank -= len(skipped.comments) + dialect.titles + skipped.separator_lines + len(bad or ())
    notes = [*column_notes, *notes_on_rule, *note_comments(name, skipped.comments)]
    if blank > 0:
        notes.append(f"{name}: skipped {blank} blank lines.")
    return Table(name, dict(zip(columns.names, values, strict=True)), rows, "line", notes)


def _columns(lines: OpenLines, name: str, dialect: Dialect, options: ReadOptions) -> tuple[Columns, list[str]]:
    """Return the columns of a file, by its header and its first rows, and notes."""
    if options.header:
        names = list(options.header)
        return Columns(names, list(range(len(names))), len(names), len(names)), []
    records: list[NumberedFields] = []
    try:
        for line, fields in read_records(lines(), dialect, Skipped()):
            if fields:
                records.append((line, fields))
            if len(records) > SAMPLE_ROWS:
                break
    except UnreadableError as error:
        if not records:
            raise _csv_problem(name, error) from error
    if not records:
        return Columns([], [], 0, 0), []
    line, header = records[0]
    rows = [] if options.header_lines > 1 else [fields for _, fields in records[1:]]
    return find_columns(header, line, rows, name, dialect)


def _read_rows(
    lines: Iterable[str],
    name: str,
    dialect: Dialect,
    options: ReadOptions,
    columns: Columns,
    skipped: Skipped,
    bad: dict[int, BadRow] | None = None,
) -> Iterator[NumberedFields]:
    """Yield the line where each row begins, and its values in the columns; a blank line has none, nor has a bad row."""
    before_header = not options.header
    plain, width = columns.plain, columns.width
    try:
        for position, (line, fields) in enumerate(read_records(lines, dialect, skipped), start=1):
            if 1 < position <= options.header_lines:
                _check_orange_header(name, line, position, fields, width)
            elif not fields:
                yield line, fields
            elif before_header:
                before_header = False
            elif plain and len(fields) == width:
                yield line, fields
            else:
                values = columns.select(fields)
                if values is None:
                    error = _misfit(name, line, fields, columns, dialect.delimiter)
                    if bad is None:
                        raise error
                    bad[line] = BadRow(line, "the row does not fit the header", error.message, error.hint)
                yield line, values or []
    except UnreadableError as error:
        raise _csv_problem(name, error) from error


class _UnreadableRowError(DataError):
    """A row with quotes that cannot be read, and its line."""

    line: int = 0


# -- errors -----------------------------------------------------------------------------------------------------------


def _csv_problem(name: str, error: UnreadableError) -> _UnreadableRowError:
    if "end of data" in error.reason:
        problem = 'a quote (") is opened and never closed'
    elif "field limit" in error.reason:
        problem = f"a field is longer than {MAX_FIELD:,} characters; a quote may have been opened and never closed"
    elif "expected after" in error.reason and error.escaped:
        problem = (
            'a quote inside the field is written with a backslash (\\"), and other rows cannot be read so; '
            'write it twice ("")'
        )
    elif "expected after" in error.reason:
        problem = 'text follows a closing quote ("); a quote inside a field is written twice ("")'
    else:
        problem = error.reason
    result = _UnreadableRowError(f"{name}, line {error.line}: {problem}.", "Correct that line.")
    result.line = error.line
    return result


def _misfit(name: str, line: int, fields: list[str], columns: Columns, delimiter: str) -> DataError:
    """Return the error for a row that does not fit the header."""
    unnamed = [i for i in columns.empty if i < len(fields) and fields[i].strip()]
    if columns.shortest <= len(fields) <= columns.width and unnamed:
        return DataError(
            f"{name}, line {line}: column {unnamed[0] + 1} has no name in the header, but holds "
            f"{fields[unnamed[0]].strip()[:60]!r} here.",
            f'Name the column, or enclose fields that contain {spell(delimiter)} in quotes (").',
        )
    if columns.shortest <= len(fields) <= columns.width and columns.index is not None:
        return DataError(
            f"{name}, line {line}: the first column has no name and numbers the rows, but holds "
            f"{fields[columns.index].strip()[:60]!r} here.",
            "Give every column a name in the first line.",
        )
    other = next((f.strip()[0] for f in fields if f.strip()[:1] in _OTHER_QUOTES), None)
    quotes = f'Enclose fields that contain {spell(delimiter)} in quotes ("), '
    if other is not None:
        quotes = f'Only the quote " encloses fields, not {other}: write " in its place, '
    count = f"{len(fields)} {'field' if len(fields) == 1 else 'fields'}"
    return DataError(
        f"{name}, line {line}: {count}, but the header has {columns.width} ({', '.join(columns.names)[:120]}), "
        f"separated by {spell(delimiter)}.",
        f"{quotes}or set the right delimiter (data.delimiter).",
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
