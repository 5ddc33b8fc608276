"""From a table to examples: the values of each row are checked, and the rows that are excluded are listed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from workbench.data.columns import CLASSES, require_column
from workbench.data.examples import Examples, SplitName
from workbench.data.label_spelling import clean_label
from workbench.data.readers.table import Table
from workbench.data.report import ExcludedRows, format_list
from workbench.data.roles import Roles
from workbench.data.values import PARSERS, Answer, as_answers, describe_type, valid_text
from workbench.errors import DataError
from workbench.types import Json

T = TypeVar("T")
Values: TypeAlias = dict[str, list[Any]]  # role -> a value for each row of the table

_HINTS = {
    "text": "Choose another column (data.columns), or write it as text.",
    "words": "Write words separated by spaces in CSV, or as an array in JSON.",
    "tags": "Write one tag per word, separated by spaces in CSV, or as an array in JSON.",
    "texts": "Write the texts as a JSON array.",
    "answers": 'Write answers as [{"text": "...", "start": 17}], start in characters of the context; [] for none.',
    "number": "Choose another column (data.columns), or write a number in every row.",
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
    """

    examples: Examples
    groups: list[Json] | None
    excluded: list[ExcludedRows]
    notes: list[str]


def extract(split: SplitName, table: Table, roles: Roles, group: str | None) -> Extracted:
    """Turn the rows of a table into examples.

    Args:
        split: which split the table is.
        table: the rows.
        roles: the roles to fill, and their columns.
        group: the column that groups examples; None, or a column that the table lacks, for no groups.

    Raises:
        DataError: a column is missing or cannot be used, or a row has an invalid value; the message names the row.
    """
    for role, name in roles.mapping.items():
        require_column(table, name, f"columns.{role}")
    values = _parse_values(table, roles)
    _check_tags(table, roles, values)
    selected, excluded = _select_rows(split, table, roles, values)
    notes: list[str] = []
    for column in roles.columns:
        if column.kind == "label":
            values[column.role] = _parse_labels(table, roles.mapping[column.role], selected, notes)
        elif column.kind == "labels":
            values[column.role] = _parse_label_lists(table, roles.mapping[column.role], selected)
    ids = [f"{table.name}:{row}" for row in table.rows]
    all_rows = Examples({column.role: values[column.role] for column in roles.columns}, ids, table.rows, table.unit)
    examples = all_rows.take(selected)
    groups = [table.columns[group][i] for i in selected] if group in table.columns else None
    return Extracted(examples, groups, excluded, notes)


# -- values other than labels -----------------------------------------------------------------------------------------


def _parse_values(table: Table, roles: Roles) -> Values:
    values: Values = {}
    for column in roles.columns:
        if column.kind in PARSERS:
            values[column.role] = _parse_column(table, roles.mapping[column.role], column.kind, PARSERS[column.kind])
    for column in roles.columns:
        if column.kind == "answers":
            values[column.role] = _parse_answers(table, roles.mapping[column.role], values.get("context"))
    return values


def _parse_answers(table: Table, name: str, contexts: Sequence[str] | None) -> list[list[Answer]]:
    """Return the answers of each row, checked against its context."""
    remaining = iter(contexts) if contexts is not None else itertools.repeat(None)
    return _parse_column(table, name, "answers", lambda value: as_answers(value, next(remaining)))


def _parse_column(table: Table, name: str, kind: str, parse: Callable[[Json], T]) -> list[T]:
    values = []
    for i, value in enumerate(table.columns[name]):
        try:
            values.append(parse(value))
        except ValueError as error:
            raise _invalid_value(table, i, name, error, kind) from error
    return values


def _invalid_value(table: Table, index: int, name: str, reason: ValueError, kind: str) -> DataError:
    hint = _ENCODING_HINT if "lone surrogate" in str(reason) else _HINTS[kind]
    return DataError(f"{table.where(index)}: column {name!r} {reason}.", hint)


def _check_tags(table: Table, roles: Roles, values: Values) -> None:
    """Refuse rows with more or fewer tags than words."""
    words = next((column.role for column in roles.columns if column.kind == "words"), None)
    for column in roles.columns:
        if column.kind != "tags" or words is None:
            continue
        for i, (tags, row) in enumerate(zip(values[column.role], values[words], strict=True)):
            if len(tags) != len(row):
                reason = ValueError(f"has {len(tags)} tags, but column {roles.mapping[words]!r} has {len(row)} words")
                raise _invalid_value(table, i, roles.mapping[column.role], reason, "tags")


def _select_rows(split: SplitName, table: Table, roles: Roles, values: Values) -> tuple[list[int], list[ExcludedRows]]:
    """Return the positions of the rows whose texts are not empty, and the rows that are excluded."""
    selected = list(range(len(table)))
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
    if not selected:
        raise DataError(f"{table.name}: every row is empty.", "Check that data.columns names the right column.")
    return selected, excluded


def _is_empty(value: str | Sequence[str]) -> bool:
    return not value or (isinstance(value, str) and not value.strip())


# -- labels -----------------------------------------------------------------------------------------------------------


def _parse_labels(table: Table, name: str, selected: Iterable[int], notes: list[str]) -> list[str]:
    """Return a label for each row, without surrounding spaces and invisible characters.

    Rows that are not selected get an empty one."""
    labels = [""] * len(table)
    missing: list[int] = []
    stripped = 0
    for i in selected:
        value = table.columns[name][i]
        labels[i] = _parse_label(table, value, name, i)
        stripped += isinstance(value, str) and labels[i] != value
        if not labels[i]:
            missing.append(i)
    if missing:
        rows = format_list([table.rows[i] for i in missing])
        raise DataError(
            f"{table.where(missing[0])}: the label (column {name!r}) is missing. {len(missing):,} "
            f"{'row has' if len(missing) == 1 else 'rows have'} no label ({table.unit} {rows}).",
            "Give every row a label, or remove those rows.",
        )
    if stripped:
        notes.append(f"{table.name}: removed surrounding spaces and invisible characters from {stripped:,} labels.")
    return labels


def _parse_label_lists(table: Table, name: str, selected: Sequence[int]) -> list[list[str]]:
    """Return the labels of each row, sorted; see :mod:`workbench.data.label_lists`."""
    label_lists: list[list[str]] = [[]] * len(table)
    for i in selected:
        labels = [_parse_label(table, item, name, i) for item in table.columns[name][i]]
        label_lists[i] = sorted({label for label in labels if label})
    return label_lists


def _parse_label(table: Table, value: Json, name: str, index: int) -> str:
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
            raise _invalid_value(table, index, name, error, "text") from error
    raise DataError(
        f"{table.where(index)}: column {name!r} holds {describe_type(value)}, but a single label is needed.",
        "Choose another column (data.columns), or a task with several labels.",
    )
