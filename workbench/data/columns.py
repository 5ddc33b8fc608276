"""Roles of columns: named by the spec, or matched by name if the names are unambiguous."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.data.proposals import unclear_columns
from workbench.data.readers.table import Table
from workbench.errors import DataError

ColumnKind = Literal["text", "label", "labels", "words", "tags", "texts", "answers", "number"]
CLASSES: tuple[ColumnKind, ...] = ("label", "labels")  # splits are stratified by these
_TARGETS: tuple[ColumnKind, ...] = (*CLASSES, "tags", "answers")


@dataclass(frozen=True)
class Column:
    """A role that a column plays in a task.

    =======  ==================================  ======================================================================
    kind     an example's value                  in a file
    =======  ==================================  ======================================================================
    text     ``str``                             text
    label    ``str``                             text or a number
    labels   ``list[str]``                       an array; in CSV separated by ``|``, ``;`` or ``,``
    words    ``list[str]``, at least one         an array; in CSV a printed list, or separated by spaces
    tags     ``list[str]``, one per word         like words
    texts    ``list[str]``                       an array; in CSV a printed list, or one text
    answers  ``list`` of ``{"text", "start"}``   an array of such objects (``answer_start`` also works); in CSV as JSON.
                                                 ``start`` is in characters of the role ``context``. Empty: no answer
    number   ``float``                           a number
    =======  ==================================  ======================================================================

    Args:
        role: its name in the spec: ``"text"``.
        description: what it holds, for people.
        guesses: common names of such a column; case does not matter.
        required: whether the task needs it.
        kind: see above.
        target: whether the model predicts it instead of reading it; None for the default of the kind: labels, tags and
            answers are targets. Examples that differ only in their targets stay in one split.
        may_be_empty: whether an example may have an empty text, or no words or texts; otherwise such rows are excluded.
        verbatim: whether tags are used as they are in the file: a prefix such as B- is part of the type.
        keeps_together: whether examples with the same value stay in one split, if neither the spec nor the data name a
            group.
    """

    role: str
    description: str
    guesses: tuple[str, ...] = ()
    required: bool = True
    kind: ColumnKind = "text"
    target: bool | None = None
    may_be_empty: bool = False
    keeps_together: bool = False
    verbatim: bool = False

    @property
    def is_target(self) -> bool:
        """Whether the model predicts it."""
        return self.kind in _TARGETS if self.target is None else self.target


def map_columns(table: Table, columns: Sequence[Column], chosen: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Choose a column for each role.

    Args:
        table: the table with the columns.
        columns: the roles of the task.
        chosen: role -> column, as the spec says; used as they are.

    Returns:
        role -> column, in the order of ``columns``, and notes on what was matched by name.

    Raises:
        DataError: a role or column does not exist, or a column has two roles.
        UnclearColumnsError: a required role has no column, or several; the error proposes one.
    """
    _check_roles(columns, chosen)
    mapping: dict[str, str] = {}
    notes: list[str] = []
    for column in columns:
        if column.role in chosen:
            mapping[column.role] = require_column(table, chosen[column.role], f"columns.{column.role}")
            continue
        matches = _match_by_name(table, column, taken={*chosen.values(), *mapping.values()})
        if len(matches) > 1 and column.required:
            message = f"{table.name}: {' and '.join(map(repr, matches))} both match the role {column.role}."
            hint = f"Name the column: columns: {{{column.role}: {matches[0]}}}."
            raise unclear_columns(message, hint, table, columns, {**chosen, **mapping})
        name = matches[0] if len(matches) == 1 else None
        if name is not None:
            mapping[column.role] = require_column(table, name, f"columns.{column.role}")
            notes.append(f"{table.name}: column {name!r} is used as {column.role} because of its name.")
        elif column.required:
            message = f"{table.name}: no column matches the role {column.role} ({column.description}). "
            hint = f"Name the column: columns: {{{column.role}: NAME}}."
            raise unclear_columns(message + _list_columns(table), hint, table, columns, {**chosen, **mapping})
    _check_used_once(table, mapping)
    return mapping, notes


def require_column(table: Table, name: str, field: str) -> str:
    """Return ``name`` if the table has a usable column of that name.

    Args:
        table: the table with the columns.
        name: the column.
        field: the spec's field that names it, without ``data.``, for the hint.

    Raises:
        DataError: the column does not exist (the message suggests a similar one) or cannot be used.
    """
    if name in table.unusable:
        raise DataError(
            f"{table.name}: column {name!r} cannot be used as {field}: {table.unusable[name]}.",
            "Choose another column, or write it as text.",
        )
    if name not in table.columns:
        raise DataError(
            f"{table.name} has no column {name!r}.{_suggest(name, table.columns)}",
            f"{_list_columns(table)} Change data.{field} in the spec.",
        )
    return name


def _suggest(name: str, known: Collection[str]) -> str:
    similar = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {similar[0]!r}?" if similar else ""


def _list_columns(table: Table) -> str:
    names = list(table.columns) + list(table.unusable)
    more = f" and {len(names) - 30} more" if len(names) > 30 else ""
    return "Its columns are: " + ", ".join(repr(name[:60]) for name in names[:30]) + f"{more}."


def _check_roles(columns: Sequence[Column], chosen: Mapping[str, str]) -> None:
    roles = [column.role for column in columns]
    for role in chosen:
        if role not in roles:
            raise DataError(
                f"This task has no role {role!r}.{_suggest(role, roles)}",
                f"Its roles are: {', '.join(roles)} (written as role: column).",
            )


def _check_used_once(table: Table, mapping: Mapping[str, str]) -> None:
    roles: dict[str, str] = {}
    for role, name in mapping.items():
        if name in roles:
            raise DataError(
                f"{table.name}: column {name!r} is used as {roles[name]} and as {role}.",
                "Give each role its own column.",
            )
        roles[name] = role


def _match_by_name(table: Table, column: Column, taken: set[str]) -> list[str]:
    """Return the columns named like the role, or else those whose names are among the role's guesses."""
    free = [name for name in [*table.columns, *table.unusable] if name not in taken]
    exact = [name for name in free if name.casefold() == column.role.casefold()]
    if len(exact) == 1:
        return exact
    guesses = {guess.casefold() for guess in column.guesses}
    return exact or [name for name in free if name.casefold() in guesses]
