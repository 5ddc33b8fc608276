"""Columns in which an example has several labels: lists, texts with a separator, or 0 and 1 for each label.

How a column is written is decided once, from all cells of all splits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from workbench.data.cells.literals import parse_list, parse_literal
from workbench.data.examples import SplitName
from workbench.data.readers.table import MalformedRowError, Table, convert_rows
from workbench.data.report import format_list
from workbench.errors import DataError
from workbench.types import Json

SEPARATORS = ("|", ";", "\t", "\n", ",")
OTHER_SEPARATORS = ("/", "+", "&", " ")  # more often a part of a label: named in a note, not split at
MIN_COMBINED = 0.8  # the same for the other separators, from which on a note names them
MIN_RECURRING = 0.5  # share of the pieces between commas that other cells have, too

MIN_WRAPPED = 0.5  # share of cells with a list in a column of single labels that is written as lists

_REASON = "the labels are not valid"
_ZERO_ONE = re.compile(r"[01](?:[ ,;|][01])+")
_SET = re.compile(r"""\s*(?:\{\s*["'].*\}|(?:frozen)?set\(.*\)|\(\s*\))\s*""", re.DOTALL)
_TRUE = frozenset(("1", "1.0", "true", "yes"))
_FALSE = frozenset(("0", "0.0", "false", "no"))
_MARKS = frozenset(("x", "✓", "✔", "☑", "y"))  # in a column that is named as a label's, with empty cells


def read_label_lists(
    tables: Mapping[SplitName, Table], column: str, separator: str | None, names: Sequence[str] | None
) -> dict[SplitName, Table]:
    """Return the tables with a list of labels in each cell of a column.

    Args:
        tables: the table of each split.
        column: the column with the labels.
        separator: what separates labels in a text; None decides by evidence.
        names: names of the labels, for a column with numbers or with lists of 0 and 1.

    Raises:
        DataError: the cells of the splits are written in different ways, or hold numbers that have no names.
    """
    having = {split: table for split, table in tables.items() if column in table.columns}
    cells: dict[SplitName, list[Json]] = {}
    for split, table in having.items():
        having[split], cells[split] = _parsed_cells(table, column)
    texts = [value for values in cells.values() for value in values if isinstance(value, str)]
    if texts and all(_ZERO_ONE.fullmatch(text.strip()) for text in texts):
        cells = {split: [_digits(value) for value in values] for split, values in cells.items()}
        texts = []
    by = separator or _find_separator(texts, tables["train"].name, column)
    lists = {split: [_split_cell(value, by) for value in values] for split, values in cells.items()}
    result = dict(tables)
    for split, values in lists.items():
        table, named = _named(having[split], column, values, lists, names)
        result[split] = table.with_column(column, named)
    note = _separator_note(tables["train"].name, column, texts, by, separator is not None)
    result["train"].notes += [note] if note else []
    return result


def join_label_columns(table: Table, columns: Sequence[str], name: str) -> Table:
    """Return a table in which one column with lists of names replaces a column of 0 and 1 for each label.

    Args:
        table: the rows.
        columns: the columns; their names are the labels.
        name: name of the new column.

    Raises:
        DataError: a cell is neither 0 nor 1, true nor false; the message names it.
    """
    blank = sum(_is_blank(value) for column in columns for value in table.columns[column])
    good, lists = convert_rows(
        table,
        lambda i: [column for column in columns if _is_set(table, i, column, table.columns[column][i])],
        _REASON,
    )
    others = {key: values for key, values in good.columns.items() if key not in columns}
    result = good.with_columns({**others, name: lists})
    if blank:
        result.notes = [*table.notes, f"{table.name}: {blank:,} empty cells in the columns of labels were read as 0."]
    return result


def unwrap_single_labels(table: Table, column: str) -> Table:
    """Return the table with labels instead of lists of one label; a list of several stays, and is refused later.

    Args:
        table: the rows.
        column: the column with the labels.
    """
    cells: list[Json] = []
    wrapped = several = 0
    for value in table.columns[column]:
        try:
            items = parse_list(value) if isinstance(value, str) else value
        except ValueError:
            items = None
        if not isinstance(items, list) or any(isinstance(item, list | dict) for item in items):
            cells.append(value)
            continue
        wrapped += 1
        several += len(items) > 1
        cells.append(items if len(items) > 1 else items[0] if items else None)
    if wrapped < MIN_WRAPPED * len(cells):
        return table
    result = table.with_column(column, cells)
    if not several:
        note = f"{table.name}: the lists in column {column!r} have one label each, which is used."
        result.notes = [*table.notes, note]
    return result


def is_zero_one(values: Iterable[Json]) -> bool:
    """Return whether a column holds only 0 and 1, or true and false, and both of them.

    Args:
        values: the cells of a column.
    """
    seen = {str(value).strip().casefold() for value in values}
    return bool(seen & _TRUE) and bool(seen & _FALSE) and seen <= _TRUE | _FALSE


def _is_blank(value: Json) -> bool:
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _is_set(table: Table, index: int, column: str, value: Json) -> bool:
    text = str(value).strip().casefold()
    if text in _TRUE or text in _MARKS:
        return True
    if text not in _FALSE and not _is_blank(value):
        raise MalformedRowError(
            f"{table.where(index)}: column {column!r} holds {str(value)[:40]!r}, but 0 or 1 is needed in the column of "
            "a label.",
            "Write 1 (or true) where the label applies, and 0 (or false) where it does not.",
        )
    return False


# -- cells -----------------------------------------------------------------------------------------------------------


def _parsed_cells(table: Table, column: str) -> tuple[Table, list[Json]]:
    """Return the rows that can be used, and their cells; a printed list is read."""
    return convert_rows(table, lambda index: _parsed(table, column, index), _REASON)


def _parsed(table: Table, column: str, index: int) -> Json:
    value = table.columns[column][index]
    try:
        items = _parsed_cell(value)
    except ValueError as error:
        raise MalformedRowError(
            f"{table.where(index)}: column {column!r} {error}.", "Write the labels as a JSON array, or separated by |."
        ) from error
    return value if items is None else items


def _parsed_cell(value: Json) -> list[Json] | None:
    """Return the items of a printed list or set, or the keys of an object of 0 and 1 that are 1; else None."""
    if isinstance(value, str) and _SET.fullmatch(value):
        value = parse_literal(value)
        if isinstance(value, list):
            return value
    if isinstance(value, dict) and value and {str(item).casefold() for item in value.values()} <= _TRUE | _FALSE:
        return [name for name, item in value.items() if str(item).casefold() in _TRUE]
    if not isinstance(value, str):
        return None
    items = parse_list(value)
    if items is None and re.fullmatch(r"\s*\[.*\]\s*", value, re.DOTALL):
        raise ValueError(f"holds {value[:60]!r}, which is not a valid list")
    return items


def _digits(value: Json) -> Json:
    """Return a text such as ``0 1 1`` as a list of numbers."""
    return [int(digit) for digit in re.findall(r"\d", value)] if isinstance(value, str) else value


def _split_cell(value: Json, separator: str | None) -> list[Json]:
    if isinstance(value, str):
        return [*(value.split(separator) if separator else [value])]
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


# -- separators ------------------------------------------------------------------------------------------------------


def _find_separator(texts: Sequence[str], name: str, column: str) -> str | None:
    """Return what separates labels: the first separator in use; a comma only if the pieces occur elsewhere, too."""
    cells = set(texts)
    used = [separator for separator in SEPARATORS if any(separator in cell for cell in cells)]
    chosen = next((each for each in used if each != "," or _recurring(cells, each) >= MIN_RECURRING), None)
    if chosen is None:
        return None
    pieces = {piece for cell in cells for piece in _pieces(cell, chosen)}
    for other in used:
        mixed = sorted(piece for piece in pieces if other in piece and pieces.issuperset(_pieces(piece, other)))
        if other != chosen and mixed:
            raise DataError(
                f"{name}: labels in column {column!r} are separated by {chosen!r}, but also by {other!r}: "
                f"{format_list([repr(piece[:40]) for piece in mixed])}.",
                "Use one separator in all files, or name it: data.label_separator.",
            )
    return chosen


def _pieces(cell: str, separator: str) -> list[str]:
    return [stripped for piece in cell.split(separator) if (stripped := piece.strip())]


def _recurring(cells: Iterable[str], separator: str) -> float:
    """Return the share of pieces of cells with a separator that occur in at least two different cells."""
    count: Counter[str] = Counter()
    separated: set[str] = set()
    for cell in cells:
        pieces = set(_pieces(cell, separator))
        count.update(pieces)
        separated |= pieces if separator in cell else set()
    return sum(count[piece] > 1 for piece in separated) / max(1, len(separated))


def _separator_note(name: str, column: str, texts: Sequence[str], separator: str | None, chosen: bool) -> str:
    if separator is not None and (chosen or any(separator in text for text in texts)):
        return f"{name}: the labels in column {column!r} are split at {separator!r}."
    cells = set(texts)
    for other in OTHER_SEPARATORS:
        if sum(other in cell for cell in cells) > 1 and _recurring(cells, other) >= MIN_COMBINED:
            return (
                f"{name}: the labels in column {column!r} seem to be combined with {other!r}. If so, set "
                "data.label_separator."
            )
    if any("," in text for text in texts):
        return (
            f"{name}: the labels in column {column!r} contain commas, but were not split, because their pieces do not "
            "occur elsewhere. To split them, set data.label_separator."
        )
    return ""


# -- numbers ---------------------------------------------------------------------------------------------------------


def _named(
    table: Table,
    column: str,
    lists: list[list[Json]],
    every: Mapping[SplitName, list[list[Json]]],
    names: Sequence[str] | None,
) -> tuple[Table, list[list[Json]]]:
    """Return the rows that can be used, and their labels by name: those of a list of 0 and 1, or of numbers."""
    length = _zero_one_length(items for values in every.values() for items in values)
    if length and names is None:
        raise DataError(
            f"{table.where(0)}: column {column!r} holds lists of {length} numbers 0 and 1, one for each label, but the "
            "names of the labels are missing.",
            f"Name them in this order: data.label_names: [...] with {length} names.",
        )
    if names is None:
        return table, lists
    if length and length != len(names):
        raise DataError(
            f"{table.where(0)}: the lists in column {column!r} have {length} numbers, but data.label_names has "
            f"{len(names)} names.",
            "Give one name for each number.",
        )

    def named(i: int) -> list[Json]:
        if length:
            return [names[k] for k, item in enumerate(lists[i]) if _is_set(table, i, column, item)]
        return [name_of(table, i, column, item, names) for item in lists[i]]

    return convert_rows(table, named, _REASON)


def name_of(table: Table, index: int, column: str, value: Json, names: Sequence[str]) -> Json:
    """Return the name of a label's number; anything that is not a number is returned as it is.

    Args:
        table: the rows, for messages.
        index: the row.
        column: the column.
        value: the label in the file.
        names: the names, from number 0 on.

    Raises:
        MalformedRowError: there is no such number.
    """
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,9}(?:\.0)?", text):
        return value
    number = int(float(text))
    if number == -1:
        return None  # the hub's sign for a missing label
    if not 0 <= number < len(names):
        raise MalformedRowError(
            f"{table.where(index)}: column {column!r} holds the number {number}, but there are names for 0 to "
            f"{len(names) - 1}.",
            "Name every number in data.label_names, from 0 on.",
        )
    return names[number]


def _zero_one_length(lists: Iterable[list[Json]]) -> int:
    """Return the length of lists that hold only 0 and 1, all equally many and at least two; else 0."""
    lengths: set[int] = set()
    seen: set[str] = set()
    count = 0
    for items in _until_other(lists, seen):
        lengths.add(len(items))
        count += 1
        if len(lengths) > 1:
            return 0
    return lengths.pop() if count > 1 and seen == {"0", "1"} and lengths and min(lengths) > 1 else 0


def _until_other(lists: Iterable[list[Json]], seen: set[str]) -> Iterator[list[Json]]:
    """Yield lists of 0 and 1, and their items into ``seen``; stop after the first other item."""
    for items in lists:
        for item in items:
            text = str(item).strip().casefold()
            digit = "1" if text in ("1", "1.0", "true") else "0" if text in ("0", "0.0", "false") else text
            seen.add(digit)
        yield items
        if not seen <= {"0", "1"}:
            return
