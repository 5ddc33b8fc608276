"""From a table to examples: the values of each row are checked, and the rows that are excluded are listed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from workbench.data.bad_rows import repeated_header
from workbench.data.cells.values import PARSERS, Answer, as_answers, describe_type, valid_text
from workbench.data.columns import CLASSES, require_column
from workbench.data.examples import Examples, SplitName
from workbench.data.labels.spelling import clean_label
from workbench.data.readers.table import BadRow, Table
from workbench.data.report import ExcludedRows
from workbench.data.roles import Roles
from workbench.errors import DataError
from workbench.types import Json

T = TypeVar("T")
Values: TypeAlias = dict[str, list[Any]]  # role -> a value for each row of the table; None in rows that are bad
BadRows: TypeAlias = dict[int, BadRow]  # position in the table -> why the row cannot be used

_HINTS = {
    "text": "Choose another column (data.columns), or write it as text.",
    "words": "Write words separated by spaces in CSV, or as an array in JSON.",
    "tags": "Write one tag per word, separated by spaces in CSV, or as an array in JSON.",
    "texts": "Write the texts as a JSON array.",
    "answers": 'Write answers as [{"text": "...", "start": 17}], start in characters of the context; [] for none.',
    "number": "Choose another column (data.columns), or write a number in every row, such as 4.5.",
}
_ENCODING_HINT = "Save the file as UTF-8."


@dataclass
class Extracted:
    """The usable examples of one table.

    Args:
        examples: the examples.
        groups: for each example the value of the group column; None without one.
        excluded: the rows that are not used.
        notes: what was normalized or looks odd, for people.
        bad_rows: the rows that cannot be used; they are not among the examples.
    """

    examples: Examples
    groups: list[Json] | None
    excluded: list[ExcludedRows]
    notes: list[str]
    bad_rows: list[BadRow] = field(default_factory=list)


def extract(split: SplitName, table: Table, roles: Roles, group: str | None) -> Extracted:
    """Turn the rows of a table into examples.

    Args:
        split: which split the table is.
        table: the rows.
        roles: the roles to fill, and their columns.
        group: the column that groups examples; None, or a column that the table lacks, for no groups.

    Raises:
        DataError: a column is missing or cannot be used, or every row is empty.
    """
    for role, name in roles.mapping.items():
        require_column(table, name, f"columns.{role}")
    bad: BadRows = {table.rows.index(each.row): each for each in repeated_header(table)}
    values = _parse_values(table, roles, bad)
    _check_tags(table, roles, values, bad)
    selected, excluded = _select_rows(split, table, roles, values, bad)
    notes: list[str] = []
    for column in roles.columns:
        if column.kind == "label":
            values[column.role] = _parse_labels(table, roles.mapping[column.role], selected, notes, bad)
        elif column.kind == "labels":
            values[column.role] = _parse_label_lists(table, roles.mapping[column.role], selected, bad)
    selected = [i for i in selected if i not in bad]
    ids = [f"{table.name}:{row}" for row in table.rows]
    all_rows = Examples({column.role: values[column.role] for column in roles.columns}, ids, table.rows, table.unit)
    examples = all_rows.take(selected)
    groups = [table.columns[group][i] for i in selected] if group in table.columns else None
    return Extracted(examples, groups, excluded, notes, [*table.bad_rows, *bad.values()])


# -- values other than labels -----------------------------------------------------------------------------------------


def _parse_values(table: Table, roles: Roles, bad: BadRows) -> Values:
    values: Values = {}
    for column in roles.columns:
        if column.kind in PARSERS:
            parse = PARSERS[column.kind]
            values[column.role] = _parse_column(table, roles.mapping[column.role], column.kind, parse, bad)
    for column in roles.columns:
        if column.kind == "answers":
            values[column.role] = _parse_answers(table, roles.mapping[column.role], values.get("context"), bad)
    return values


def _parse_answers(table: Table, name: str, contexts: Sequence[str] | None, bad: BadRows) -> list[list[Answer] | None]:
    """Return the answers of each row, checked against its context; None for a row that cannot be used."""
    remaining = iter(contexts) if contexts is not None else itertools.repeat(None)
    return _parse_column(table, name, "answers", lambda value: as_answers(value, next(remaining)), bad)


def _parse_column(table: Table, name: str, kind: str, parse: Callable[[Json], T], bad: BadRows) -> list[T | None]:
    """Return the value of each row; None for a row that cannot be used."""
    values: list[T | None] = []
    for i, value in enumerate(table.columns[name]):
        try:
            values.append(parse(value))
        except ValueError as error:
            values.append(None)
            bad.setdefault(i, _invalid_value(table, i, name, str(error), kind))
    return values


def _invalid_value(table: Table, index: int, name: str, problem: str, kind: str) -> BadRow:
    hint = _ENCODING_HINT if "lone surrogate" in problem else _HINTS[kind]
    message = f"{table.where(index)}: column {name!r} {problem}."
    return BadRow(table.rows[index], f"the value in column {name!r} is not valid", message, hint)


def _check_tags(table: Table, roles: Roles, values: Values, bad: BadRows) -> None:
    """Find rows with more or fewer tags than words."""
    words = next((column.role for column in roles.columns if column.kind == "words"), None)
    for column in roles.columns:
        if column.kind != "tags" or words is None:
            continue
        for i, (tags, row) in enumerate(zip(values[column.role], values[words], strict=True)):
            if tags is not None and row is not None and len(tags) != len(row):
                problem = f"has {len(tags)} tags, but column {roles.mapping[words]!r} has {len(row)} words"
                bad.setdefault(i, _invalid_value(table, i, roles.mapping[column.role], problem, "tags"))


def _select_rows(
    split: SplitName, table: Table, roles: Roles, values: Values, bad: BadRows
) -> tuple[list[int], list[ExcludedRows]]:
    """Return the positions of the rows whose texts are not empty, and the rows that are excluded."""
    selected = [i for i in range(len(table)) if i not in bad]
    excluded: list[ExcludedRows] = []
    for column in roles.columns:
        if column.may_be_empty or column.kind in (*CLASSES, "answers", "number", "tags"):
            continue
        empty = [i for i in selected if _is_empty(values[column.role][i])]
        if empty:
            rows = [table.rows[i] for i in empty]
            excluded.append(ExcludedRows(split, f"{column.role} is empty", rows))
            removed = set(empty)
            selected = [i for i in selected if i not in removed]
    if not selected and not bad:
        raise DataError(f"{table.name}: every row is empty.", "Check that data.columns names the right column.")
    return selected, excluded


def _is_empty(value: str | Sequence[str]) -> bool:
    return not value or (isinstance(value, str) and not clean_label(value))


# -- labels -----------------------------------------------------------------------------------------------------------


def _parse_labels(table: Table, name: str, selected: Iterable[int], notes: list[str], bad: BadRows) -> list[str]:
    """Return a label for each row, without surrounding spaces and invisible characters.

    Rows that are not selected, and those that cannot be used, get an empty one."""
    labels = [""] * len(table)
    stripped = 0
    for i in selected:
        value = table.columns[name][i]
        label = _parse_label(table, value, name, i)
        if isinstance(label, BadRow):
            bad[i] = label
            continue
        labels[i] = label
        stripped += isinstance(value, str) and label != value
        if not label:
            message = f"{table.where(i)}: the label (column {name!r}) is missing."
            bad[i] = BadRow(table.rows[i], "the label is missing", message, "Give every row a label.")
    if stripped:
        notes.append(f"{table.name}: removed surrounding spaces and invisible characters from {stripped:,} labels.")
    return labels


def _parse_label_lists(table: Table, name: str, selected: Iterable[int], bad: BadRows) -> list[list[str]]:
    """Return the labels of each row, sorted; see :mod:`workbench.data.labels.lists`."""
    label_lists: list[list[str]] = [[]] * len(table)
    for i in selected:
        labels = [_parse_label(table, item, name, i) for item in table.columns[name][i]]
        problem = next((label for label in labels if isinstance(label, BadRow)), None)
        if problem is not None:
            bad[i] = problem
        else:
            label_lists[i] = sorted({label for label in labels if isinstance(label, str) and label})
    return label_lists


def _parse_label(table: Table, value: Json, name: str, index: int) -> str | BadRow:
    """Return a label, an empty one if it is missing, or why it cannot be used."""
    if value is None or value != value:  # NaN: a missing number
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # tables store a column of whole numbers with gaps as 1.0
    if isinstance(value, str | int | float):
        try:
            return valid_text(clean_label(str(value)))
        except ValueError as error:
            return _invalid_value(table, index, name, str(error), "text")
    return BadRow(
        table.rows[index],
        f"the value in column {name!r} is not valid",
        f"{table.where(index)}: column {name!r} holds {describe_type(value)}, but a single label is needed.",
        "Choose another column (data.columns), or a task with several labels (task.multi_label).",
    )
