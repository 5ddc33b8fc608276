"""Which column plays which role: told by the spec, or found by name when the names leave no doubt."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.data.readers.table import Table
from workbench.errors import DataError

ColumnKind = Literal["text", "label", "labels", "words", "tags", "texts", "answers", "number"]
CLASSES: tuple[ColumnKind, ...] = ("label", "labels")  # what splits are stratified by
_TARGETS: tuple[ColumnKind, ...] = (*CLASSES, "tags", "answers")


@dataclass(frozen=True)
class Column:
    """A role that a column plays in a task.

    =======  ==================================  ======================================================================
    kind     an example's value                  in a file
    =======  ==================================  ======================================================================
    text     ``str``                             text
    label    ``str``                             text or a number
    labels   ``list[str]``                       an array; in CSV parted by ``|`` or ``;``
    words    ``list[str]``, at least one         an array; in CSV parted by spaces
    tags     ``list[str]``, one for each word    like words
    texts    ``list[str]``                       an array; in CSV a JSON array, or one text
    answers  ``list`` of ``{"text", "start"}``   an array of such objects (``answer_start`` does too); in CSV as JSON.
                                                 ``start`` is in characters of the role ``context``. None: no answer
    number   ``float``                           a number
    =======  ==================================  ======================================================================

    Args:
        role: its name in the spec: ``"text"``.
        description: what stands in it, for people.
        guesses: names under which such a column is often found; capitals do not matter.
        required: whether the task needs it.
        kind: see above.
        target: whether it is what the model is to give, and is not read by it; None for what the kind says: labels,
            tags and answers are. Examples that differ in targets only stay on one side of a split.
        may_be_empty: whether an example may have an empty text there, or no words or texts; others are left out.
        keeps_together: whether examples with the same value there stay on one side of a split, where neither the spec
            nor the data name a group.
    """

    role: str
    description: str
    guesses: tuple[str, ...] = ()
    required: bool = True
    kind: ColumnKind = "text"
    target: bool | None = None
    may_be_empty: bool = False
    keeps_together: bool = False

    @property
    def is_target(self) -> bool:
        """Whether it is what the model is to give."""
        return self.kind in _TARGETS if self.target is None else self.target


def map_columns(table: Table, columns: Sequence[Column], given: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Find the column for each role.

    Args:
        table: the table whose columns there are.
        columns: the roles of the task.
        given: role -> column, as the spec says; these are taken as they are.

    Returns:
        role -> column, in the order of ``columns``, and notes that tell what was chosen by name.

    Raises:
        DataError: a role or column that does not exist, a required role without a column, a column in two roles.
    """
    _check_roles(columns, given)
    mapping: dict[str, str] = {}
    notes: list[str] = []
    for column in columns:
        if column.role in given:
            mapping[column.role] = require_column(table, given[column.role], f"columns.{column.role}")
            continue
        found = _guess(table, column, taken=set(given.values()) | set(mapping.values()))
        if found is not None:
            mapping[column.role] = require_column(table, found, f"columns.{column.role}")
            notes.append(f"{table.name}: column {found!r} is taken as {column.role} because of its name.")
        elif column.required:
            raise DataError(
                f"{table.name}: no column is plainly the {column.role} ({column.description}). {_columns_there(table)}",
                f"Say which: columns: {{{column.role}: NAME}}.",
            )
    _check_used_once(table, mapping)
    return mapping, notes


def require_column(table: Table, name: str, field: str) -> str:
    """``name`` when the table has such a column that can be used. Raises DataError with a near guess."""
    if name in table.unusable:
        raise DataError(
            f"{table.name}: column {name!r} cannot be used as {field}: {table.unusable[name]}.",
            "Choose another column, or write it as text.",
        )
    if name not in table.columns:
        near = difflib.get_close_matches(name, table.columns, n=1, cutoff=0.5)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        raise DataError(
            f"{table.name} has no column {name!r}.{guess}", f"{_columns_there(table)} Change data.{field} in the spec."
        )
    return name


def _columns_there(table: Table) -> str:
    names = list(table.columns) + list(table.unusable)
    more = f" and {len(names) - 30} more" if len(names) > 30 else ""
    return "Its columns are: " + ", ".join(repr(name[:60]) for name in names[:30]) + f"{more}."


def _check_roles(columns: Sequence[Column], given: Mapping[str, str]) -> None:
    roles = [column.role for column in columns]
    for role in given:
        if role not in roles:
            near = difflib.get_close_matches(role, roles, n=1, cutoff=0.5)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            raise DataError(
                f"This task has no role {role!r}.{guess}",
                f"Its roles are: {', '.join(roles)} (written as role: column).",
            )


def _check_used_once(table: Table, mapping: Mapping[str, str]) -> None:
    roles: dict[str, str] = {}
    for role, name in mapping.items():
        if name in roles:
            raise DataError(
                f"{table.name}: column {name!r} is given as {roles[name]} and as {role}.",
                "Give each role its own column.",
            )
        roles[name] = role


def _guess(table: Table, column: Column, taken: set[str]) -> str | None:
    """The one column whose name is the role's, or else the only one whose name is among its guesses."""
    free = [name for name in [*table.columns, *table.unusable] if name not in taken]
    exact = [name for name in free if name.casefold() == column.role.casefold()]
    if len(exact) == 1:
        return exact[0]
    known = {guess.casefold() for guess in column.guesses}
    found = exact or [name for name in free if name.casefold() in known]
    if len(found) > 1 and column.required:
        raise DataError(
            f"{table.name}: {' and '.join(repr(name) for name in found)} could each be the {column.role}.",
            f"Say which: columns: {{{column.role}: {found[0]}}}.",
        )
    return found[0] if len(found) == 1 else None
