"""The contract of a shape of rows, and its use on the tables of all splits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from workbench.data.cells.literals import parse_literal
from workbench.data.columns import Column
from workbench.data.examples import SplitName
from workbench.data.readers.table import MalformedRowError, Table
from workbench.errors import DataError
from workbench.registry import Registry
from workbench.spec import DataSpec
from workbench.types import Json, JsonObject

LOOKED_AT = 50  # cells that show what a column holds


@dataclass(frozen=True)
class Needs:
    """What a task needs from tables.

    Attributes:
        columns: the roles of the task.
        chosen: role -> column, or several columns, as the spec or the catalogue say.
        spec: the data section of the spec.
    """

    columns: Sequence[Column]
    chosen: Mapping[str, str | list[str]]
    spec: DataSpec

    def has(self, *roles: str) -> bool:
        """Return whether the task has all of these roles.

        Args:
            roles: names of roles.
        """
        return {column.role for column in self.columns} >= set(roles)

    def column(self, role: str) -> Column:
        """Return a role of the task.

        Args:
            role: its name.
        """
        return next(column for column in self.columns if column.role == role)

    def name(self, role: str) -> str:
        """Return the column that is chosen for a role; the role's name if none is.

        Args:
            role: its name.
        """
        name = self.chosen.get(role, role)
        return name if isinstance(name, str) else ", ".join(name)

    def find(self, table: Table, role: str, guesses: Sequence[str] = ()) -> str | None:
        """Return the column of a role: the chosen one, or the first with a usual name.

        Args:
            table: the rows.
            role: name of a role.
            guesses: usual names besides the role's own, the likeliest first.
        """
        if role in self.chosen:
            return name if (name := self.name(role)) in table.columns else None
        return find_column(table, (role, *guesses), taken=self.chosen.values())


class Shape(ABC):
    """Base of every shape of rows.

    Attributes:
        roles: the roles that it fills.
        consumes: further roles that it reads, and that no column fills afterwards.
    """

    name: ClassVar[str]
    roles: ClassVar[tuple[str, ...]]
    consumes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def matches(self, table: Table, needs: Needs) -> bool:
        """Return whether the training table has this shape.

        Args:
            table: the training rows.
            needs: what the task needs; it has all ``roles``.

        Raises:
            DataError: the table nearly has this shape, and only the user can say what is meant.
        """

    @abstractmethod
    def convert(self, table: Table, needs: Needs) -> Table:
        """Return the table with a column for each of ``roles``.

        Args:
            table: the rows of any split.
            needs: what the task needs.

        Raises:
            DataError: no row can be used; single malformed rows are in the table's ``bad_rows``.
        """


shapes: Registry[Shape] = Registry("shape", package="workbench.data.shapes")


def apply_shapes(
    tables: Mapping[SplitName, Table], columns: Sequence[Column], chosen: Mapping[str, str | list[str]], spec: DataSpec
) -> tuple[dict[SplitName, Table], dict[str, str]]:
    """Rewrite tables whose rows have a known shape.

    Args:
        tables: the table of each split.
        columns: the roles of the task.
        chosen: role -> column, as the spec or the catalogue say.
        spec: the data section of the spec.

    Returns:
        The tables, and role -> column.

    Raises:
        DataError: a row is malformed, or a list of columns was chosen for a role that takes one.
    """
    result = dict(tables)
    for _, cls in shapes.items():
        shape, needs = cls(), Needs(columns, chosen, spec)
        if needs.has(*shape.roles) and shape.matches(result["train"], needs):
            result = {split: _convert(shape, table, needs) for split, table in result.items()}
            filled = {role: needs.name(role) for role in shape.roles if needs.name(role) in result["train"].columns}
            rest = {role: name for role, name in chosen.items() if role not in shape.consumes}
            chosen = {**rest, **filled}
    for role, name in chosen.items():
        if not isinstance(name, str):
            raise DataError(
                f"columns.{role} is a list of {len(name)} columns, but the role {role} takes one column.",
                "Name one column, or use a task with several labels (text-classification with task.multi_label).",
            )
    return result, {role: name for role, name in chosen.items() if isinstance(name, str)}


def _convert(shape: Shape, table: Table, needs: Needs) -> Table:
    converted = shape.convert(table, needs)
    converted.notes = list(converted.notes)
    return converted


# -- looking at tables -----------------------------------------------------------------------------------------------


def find_column(table: Table, names: Sequence[str], taken: Iterable[str | list[str]] = ()) -> str | None:
    """Return the first column with one of these names; case does not matter.

    Args:
        table: the rows.
        names: the likeliest first.
        taken: columns that have a role.
    """
    excluded = {name for each in taken for name in ([each] if isinstance(each, str) else each)}
    known = {name.strip().casefold(): name for name in reversed(list(table.columns)) if name not in excluded}
    return next((known[name.casefold()] for name in names if name.casefold() in known), None)


def first_values(table: Table, column: str, count: int = LOOKED_AT) -> list[Json]:
    """Return the first values of a column that are not empty; a printed list or object is read.

    Args:
        table: the rows.
        column: the column.
        count: how many.
    """
    values: list[Json] = []
    for value in table.columns[column]:
        if value is not None and value not in ("", [], {}):
            values.append(unprinted(value))
        if len(values) == count:
            break
    return values


def unprinted(value: Json) -> Json:
    """Return the list or object that a text holds in its printed form; any other value as it is.

    Args:
        value: a cell.
    """
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{") and value.rstrip()[-1:] in ("]", "}"):
        try:
            parsed = parse_literal(value)
        except ValueError:
            return value
        return parsed if isinstance(parsed, list | dict) else value
    return value


MISSING = frozenset(("", "nan", "null", "none", "n/a", "<na>", "na"))  # how programs write an empty cell


def is_missing(value: Json) -> bool:
    """Return whether a cell where a number is expected is empty, in any of the ways that programs write it.

    Args:
        value: a cell.
    """
    return value is None or value != value or (isinstance(value, str) and value.strip().casefold() in MISSING)


def are_objects(values: Sequence[Json], *keys: str) -> bool:
    """Return whether there are values, and all are objects with these keys.

    Args:
        values: cells.
        keys: the keys that each needs.
    """
    return bool(values) and all(isinstance(value, dict) and value.keys() >= set(keys) for value in values)


def are_lists_of_objects(values: Sequence[Json], *keys: str) -> bool:
    """Return whether there are values, and all are lists of objects with these keys.

    Args:
        values: cells.
        keys: the keys that each object needs.
    """
    return bool(values) and all(isinstance(value, list) and are_objects(value, *keys) for value in values)


def refused(where: str, problem: str, hint: str) -> MalformedRowError:
    """Return the error for a malformed row.

    Args:
        where: its location.
        problem: what is wrong.
        hint: what to do.
    """
    return MalformedRowError(f"{where} {problem}.", hint)


def without(table: Table, *columns: str | None) -> Table:
    """Return the table without some of its columns.

    Args:
        table: the rows.
        columns: names of columns; None is ignored.
    """
    return replace(table, columns={name: values for name, values in table.columns.items() if name not in columns})


def text_of(record: JsonObject, key: str, where: str, hint: str) -> str:
    """Return a text of an object.

    Args:
        record: the object.
        key: its key.
        where: the object's location.
        hint: what to do if it is no text.

    Raises:
        DataError: the text is missing or of another type.
    """
    value = record.get(key)
    if not isinstance(value, str):
        raise refused(where, f"has no text {key!r}", hint)
    return value
