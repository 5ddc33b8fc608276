"""How a delimited file is written, by evidence: delimiter, quotes, comment lines, and columns without a name."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from workbench.data.readers.options import ReadOptions
from workbench.data.readers.table import check_names, check_width
from workbench.errors import DataError

DELIMITERS = ("\t", ",", ";", "|")  # of two that fit equally well, the first: tabs are rare in texts
RARE_DELIMITERS = ("\x01", "\x1f", "~", "^", "\u00a6", "\u00a7")  # if none of the others separates anything
SAMPLE_ROWS = 1000  # records that are used as evidence

OpenLines: TypeAlias = Callable[[], Iterable[str]]  # opens a file: its lines from the first on, with their ends
NumberedFields: TypeAlias = tuple[int, list[str]]  # the line where a row begins, and its fields

_SEPARATOR_LINE = re.compile(r'\ufeff*"?sep=(.)\1*"?\s*', re.IGNORECASE)
_BACKSLASHES = re.compile(r'\\+(?!["\\])')  # a run that does not end before a quote
_WHOLE_NUMBER = re.compile(r"\d{1,15}")
_MAX_EMPTY = 100_000  # records among which those are; a file can begin with millions of empty lines
_MAX_LEADING = 1000  # comment lines before the header
_MAX_TITLES = 10  # lines of titles before the header
_MIN_EVEN = 0.95  # share of rows as wide as the header below lines of titles, or in a file named .tsv
_TABBED = (".tsv", ".tab")


class UnreadableError(Exception):
    """A record that the csv module could not read: the line where it begins, and the reason."""

    def __init__(self, line: int, reason: str, escaped: bool) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason
        self.escaped = escaped  # the record contains \"


@dataclass(frozen=True)
class Dialect:
    r"""How a delimited file is written.

    Args:
        delimiter: character between fields.
        quoting: whether ``"`` encloses fields.
        escaped: whether a quote inside a field is written ``\"``.
        separator_line: whether the first line is Excel's ``sep=;``.
        leading_comments: lines before the header that are skipped.
        width: fields in most rows; a line that begins with ``#`` and has another number can be a comment.
        comments: whether lines that begin with ``#`` can be comments.
        titles: lines of titles before the header, which are skipped.
    """

    delimiter: str
    quoting: bool = True
    escaped: bool = False
    separator_line: bool = False
    leading_comments: int = 0
    width: int = 1
    comments: bool = True
    titles: int = 0

    def is_comment(self, number: int, line: str) -> bool:
        """Return whether a line that begins with ``#`` is a comment, not a row.

        Args:
            number: the line's number, from 1.
            line: the line; a record begins here.
        """
        if not self.comments or number <= self.leading_comments:
            return self.comments
        width = line.count(self.delimiter) + 1
        return width != self.width and (width == 1 or self.leading_comments > 0)


@dataclass
class Skipped:
    """Lines that are neither rows nor blank.

    Args:
        comments: the numbers of comment lines.
        separator_lines: 1 if there was a line ``sep=;``.
    """

    comments: list[int] = field(default_factory=list)
    separator_lines: int = 0


@dataclass(frozen=True)
class Columns:
    """Which fields of a row are columns of the table.

    Args:
        names: the names of the columns.
        indices: for each the position of its field.
        width: fields in a row.
        shortest: fields that a row needs at least; those after it are empty.
        empty: positions of fields without a name, which must be empty.
        index: position of the numbers of the rows; None without them.
    """

    names: list[str]
    indices: list[int]
    width: int
    shortest: int
    empty: tuple[int, ...] = ()
    index: int | None = None

    @property
    def plain(self) -> bool:
        """Whether every field is a column."""
        return self.shortest == self.width == len(self.names)

    def select(self, fields: list[str]) -> list[str] | None:
        """Return the values of a row in the columns; None if the row does not fit.

        Args:
            fields: of the row.
        """
        if self.plain:
            return fields if len(fields) == self.width else None
        if not self.shortest <= len(fields) <= self.width:
            return None
        if any(position < len(fields) and fields[position].strip() for position in self.empty):
            return None
        if self.index is not None and not _WHOLE_NUMBER.fullmatch(fields[self.index].strip()):
            return None
        return [fields[i] for i in self.indices]


# -- records ----------------------------------------------------------------------------------------------------------


@dataclass
class _Cursor:
    at_start: bool = True  # the next line begins a record
    escaped: bool = False  # the current record contains \"


def read_records(lines: Iterable[str], dialect: Dialect, skipped: Skipped) -> Iterator[NumberedFields]:
    """Yield the line where each record begins, and its fields; a blank or skipped line has none.

    Args:
        lines: of the file, with their ends.
        dialect: how the file is written.
        skipped: is extended by the lines that are skipped.

    Raises:
        UnreadableError: a record is malformed.
    """
    cursor = _Cursor()
    reader = csv.reader(
        _prepare(lines, dialect, skipped, cursor),
        delimiter=dialect.delimiter,
        quoting=csv.QUOTE_MINIMAL if dialect.quoting else csv.QUOTE_NONE,
        escapechar="\\" if dialect.escaped else None,
        strict=True,
    )
    while True:
        line = reader.line_num + 1
        cursor.at_start, cursor.escaped = True, False
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UnreadableError(line, str(error), cursor.escaped) from error
        yield line, fields


def _prepare(lines: Iterable[str], dialect: Dialect, skipped: Skipped, cursor: _Cursor) -> Iterator[str]:
    """Yield the lines, with an empty line in place of each that is skipped, so that the numbers stay right."""
    for number, line in enumerate(lines, start=1):
        if cursor.at_start:
            cursor.at_start = False
            if number <= dialect.titles:
                yield "\n"
                continue
            if number == 1 and dialect.separator_line:
                skipped.separator_lines = 1
                yield "\n"
                continue
            if line.startswith("#") and dialect.is_comment(number, line):
                skipped.comments.append(number)
                yield "\n"
                continue
        if "\\" in line:
            cursor.escaped = cursor.escaped or '\\"' in line
            if dialect.escaped:  # only a backslash before a quote is an escape; all others are text
                line = _BACKSLASHES.sub(lambda run: run.group() * 2, line)
        yield line


# -- detection --------------------------------------------------------------------------------------------------------


def detect_dialect(lines: OpenLines, name: str, options: ReadOptions) -> tuple[Dialect, list[str]]:
    """Return how a file is written, and notes.

    Args:
        lines: opens the file.
        name: the file's name.
        options: what is known.
    """
    # Of the catalogue, files are known in every detail.
    plain = options.header_lines > 1 or (options.header is not None and options.delimiter is not None)
    separator, leading = (None, 0) if plain else _read_head(lines())
    base = Dialect(
        options.delimiter or separator or ",",
        quoting=options.quoting is not False,
        separator_line=separator is not None,
        leading_comments=leading,
        comments=not plain,
    )
    known = options.delimiter or separator
    candidates = (known,) if known else DELIMITERS
    best, score = _best_dialect(lines, base, candidates, options)
    if not known and best.width < 2:
        rare, rare_score = _best_dialect(lines, base, RARE_DELIMITERS, options)
        best, score = (rare, rare_score) if rare.width > 1 and rare_score[0] >= _MIN_EVEN else (best, score)
    if not known and best.delimiter != "\t" and name.lower().endswith(_TABBED):
        tabs, tab_score = _best_dialect(lines, base, ("\t",), options)
        best, score = (tabs, tab_score) if tabs.width > 1 and tab_score[0] >= _MIN_EVEN else (best, score)
    if not plain and options.header is None:
        best = _skip_titles(lines, best, score, candidates, options)
    if separator is not None and options.delimiter is None and best.width < 2:
        other, other_score = _best_dialect(lines, base, DELIMITERS, options)
        best, score = (other, other_score) if other_score > score else (best, score)
    best = _find_header(lines, best)
    notes = []
    if best.separator_line:
        notes.append(f"{name}: fields are separated by {spell(best.delimiter)}, as the line sep= at the start says.")
        if best.delimiter != separator:
            notes = [f"{name}: skipped the line sep={separator}; fields are separated by {spell(best.delimiter)}."]
    elif options.delimiter is None and best.delimiter != ",":
        notes.append(f"{name}: fields are separated by {spell(best.delimiter)}.")
    if best.titles:
        notes.append(f"{name}: skipped the first {best.titles:,} lines, which are a title above the table.")
    if best.escaped:
        notes.append(note_escaped(name))
    return best, notes


def _skip_titles(
    lines: OpenLines, best: Dialect, score: tuple[float, int], candidates: Sequence[str], options: ReadOptions
) -> Dialect:
    """Return the dialect without lines of titles above the header: lines with a single filled cell."""
    head = list(itertools.islice(lines(), _MAX_TITLES + 1))
    for delimiter in candidates:
        cells = [[cell for cell in line.split(delimiter) if cell.strip(' "\r\n')] for line in head]
        titles = next((i for i, row in enumerate(cells) if len(row) > 1), 0)
        if not titles or best.separator_line or best.leading_comments or not _is_title(head, titles, delimiter):
            continue
        below, other = _best_dialect(lines, replace(best, titles=titles), (delimiter,), options)
        if below.width > 1 and other[0] >= max(_MIN_EVEN, score[0]) and len(cells[titles]) == below.width:
            return below
    return best


def _is_title(head: Sequence[str], titles: int, delimiter: str) -> bool:
    """Return whether the lines before the header are titles: of several words, with empty cells, or above a gap."""
    first = head[0].strip()
    gap = any(not line.strip() for line in head[1:titles])
    return (
        bool(first)
        and not head[0].startswith(delimiter)
        and (" " in first.strip(delimiter) or first != first.strip(delimiter) or gap)
    )


def _read_head(lines: Iterable[str]) -> tuple[str | None, int]:
    """Return the delimiter of a line ``sep=;``, and the number of the last comment line before the header."""
    separator: str | None = None
    leading = 0
    for number, line in enumerate(itertools.islice(lines, _MAX_LEADING), start=1):
        if number == 1 and (match := _SEPARATOR_LINE.fullmatch(line)):
            separator = match.group(1)
        elif line.startswith("#"):
            leading = number
        elif line.strip():
            return separator, leading
    return separator, 0  # without a row that begins otherwise, none is a comment


def _best_dialect(
    lines: OpenLines, base: Dialect, delimiters: Sequence[str], options: ReadOptions
) -> tuple[Dialect, tuple[float, int]]:
    """Return the dialect that splits most of the first rows into the same number of fields."""
    best, best_score = replace(base, delimiter=delimiters[0] if len(delimiters) == 1 else ","), (0.0, 0)
    for delimiter in delimiters:
        modes = [(base.quoting, False, 0.0)]
        if base.quoting:
            modes.append((True, True, 0.0005))
            if delimiter == "\t" and options.quoting is None and options.delimiter is None:
                modes.append((False, False, 0.001))
        for quoting, escaped, cost in modes:
            dialect = replace(base, delimiter=delimiter, quoting=quoting, escaped=escaped)
            widths, has_escapes = _count_fields(lines(), dialect)
            if not widths or (escaped and not has_escapes):
                continue
            even, width = _evenness(widths)
            score = (round(even - cost, 4), width)
            if (width > 1 or len(delimiters) == 1) and score > best_score:
                best, best_score = replace(dialect, width=width), score
    return best, best_score


def _evenness(widths: Sequence[int]) -> tuple[float, int]:
    """Return the share of rows that are as wide as the header, or as wide as all other rows, and that width."""
    first = sum(width == widths[0] for width in widths) / len(widths), widths[0]
    if len(widths) > 2 and widths[0] > 1:
        width, count = Counter(widths[1:]).most_common(1)[0]
        if count == len(widths) - 1 and width > widths[0]:  # the header lacks the name of an index, or of empty columns
            return 0.99, width
    return first


def _count_fields(lines: Iterable[str], dialect: Dialect) -> tuple[list[int], bool]:
    """Return the number of fields of the first records up to one that cannot be read, and whether \\" occurs."""
    widths: list[int] = []
    has_escapes = False

    def watched() -> Iterator[str]:
        nonlocal has_escapes
        for line in lines:
            has_escapes = has_escapes or '\\"' in line
            yield line

    skipping = replace(dialect, width=0)  # in a sample, every comment before the header is skipped, and no other
    try:
        records = read_records(watched(), replace(skipping, comments=dialect.leading_comments > 0), Skipped())
        for _, fields in itertools.islice(records, _MAX_EMPTY):
            if fields:
                widths.append(len(fields))
            if len(widths) >= SAMPLE_ROWS:
                break
    except UnreadableError:
        widths += [0] * max(1, len(widths) // 10)
    return widths, has_escapes


def _find_header(lines: OpenLines, dialect: Dialect) -> Dialect:
    """Take the last lines that begin with # for the header and rows if they have as many fields as the rows."""
    if not dialect.leading_comments:
        return dialect
    comments = [
        (number, line)
        for number, line in enumerate(itertools.islice(lines(), dialect.leading_comments), start=1)
        if line.startswith("#")
    ]
    while comments:
        _, line = comments[-1]
        alike = line.count(dialect.delimiter) + 1 == dialect.width
        if not alike or (dialect.width == 1 and (len(comments) > 1 or line.startswith("# "))):
            break
        comments.pop()
    return replace(dialect, leading_comments=comments[-1][0] if comments else 0)


# -- columns ----------------------------------------------------------------------------------------------------------


def find_columns(
    header: list[str], line: int, rows: Sequence[list[str]], name: str, dialect: Dialect
) -> tuple[Columns, list[str]]:
    """Return which fields are columns: a field without a name is one only if it holds an index or nothing.

    Args:
        header: the fields of the first record.
        line: its line, for messages.
        rows: the first rows.
        name: the file's name, for messages.
        dialect: how the file is written.

    Returns:
        The columns, and a note on each that is left out.

    Raises:
        DataError: a column with values has no name, or two have the same.
    """
    widths = {len(fields) for fields in rows}
    check_width(max(len(header), *widths, 0), name)
    names = [each.strip().strip("\ufeff\u200b").strip() for each in header]
    if len(widths) == 1 and (width := widths.pop()) > len(names):
        missing = width - len(names)
        if all(not cell.strip() for fields in rows for cell in fields[len(names) :]):
            names += [""] * missing
        elif missing == 1 and _is_index([fields[0] for fields in rows]):
            names.insert(0, "")
    unnamed = [position for position, column in enumerate(names) if not column]
    if not unnamed or not rows or len(unnamed) == len(names):
        names = check_names(names, name, line)
        return Columns(names, list(range(len(names))), len(names), len(names)), []
    named = max(position for position, column in enumerate(names) if column) + 1
    empty, index, notes = [], None, []
    for position in unnamed:
        cells = [fields[position] for fields in rows if position < len(fields)]
        if all(not cell.strip() for cell in cells):
            empty.append(position)
        elif position == 0 and _is_index(cells):
            index = 0
            notes.append(f"{name}: left out the first column, which has no name and numbers the rows.")
        else:
            raise _unnamed_column(name, line, position, len(names), next(cell for cell in cells if cell.strip()))
    if empty:
        positions = ", ".join(str(position + 1) for position in empty[:10]) + (" ..." if len(empty) > 10 else "")
        which = f"column {positions}, which has" if len(empty) == 1 else f"columns {positions}, which have"
        notes.append(f"{name}: left out {which} neither a name nor values ({spell(dialect.delimiter)} ends each line).")
        if empty[-1] < named:
            notes[-1] = f"{name}: left out {which} neither a name nor values."
    indices = [position for position, column in enumerate(names) if column]
    used = check_names([names[i] for i in indices], name, line)
    return Columns(used, indices, len(names), named, tuple(empty), index), notes


def _is_index(cells: Sequence[str]) -> bool:
    """Return whether values number the rows: whole numbers that are all different, or mostly one more than before."""
    if not cells or not all(_WHOLE_NUMBER.fullmatch(cell.strip()) for cell in cells):
        return False
    numbers = [int(cell) for cell in cells]
    steps = sum(after == before + 1 for before, after in itertools.pairwise(numbers))
    return len(set(numbers)) == len(numbers) or steps >= 0.9 * (len(numbers) - 1)


def _unnamed_column(name: str, line: int, position: int, columns: int, value: str) -> DataError:
    return DataError(
        f"{name}, line {line}: column {position + 1} of {columns} has no name, but it has values, such as "
        f"{value.strip()[:60]!r}.",
        "Give every column a name in the first line; if that line is data, name the columns in data.header.",
    )


# -- notes ------------------------------------------------------------------------------------------------------------


def spell(delimiter: str) -> str:
    """Return a delimiter for people.

    Args:
        delimiter: one character.
    """
    return "tabs" if delimiter == "\t" else repr(delimiter)


def note_escaped(name: str) -> str:
    """Return the note on quotes that are escaped with a backslash.

    Args:
        name: the file's name.
    """
    return f'{name}: quotes inside fields are written with a backslash (\\") here, and were read as quotes.'


def note_comments(name: str, numbers: Sequence[int]) -> list[str]:
    """Return the note on comment lines that were skipped; none without any.

    Args:
        name: the file's name.
        numbers: the numbers of the lines.
    """
    if not numbers:
        return []
    listed = ", ".join(map(str, numbers[:5])) + (" ..." if len(numbers) > 5 else "")
    lines = f"line {listed}" if len(numbers) == 1 else f"{len(numbers):,} lines ({listed})"
    return [f"{name}: skipped {lines}, because it is a comment that begins with #."
            if len(numbers) == 1 else f"{name}: skipped {lines}, which are comments that begin with #."]  # fmt: skip
