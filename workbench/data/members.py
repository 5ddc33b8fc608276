"""Columns of objects: their members are columns, too, where a role has no column otherwise.

{"id": 1, "data": {"text": "A great film"}, "meta": {"label": "pos"}}     columns id, text, label
{"_index": "reviews", "_source": {"text": "A great film", "label": "pos"}}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from workbench.data.columns import Column
from workbench.data.examples import SplitName
from workbench.data.readers.table import Table
from workbench.data.shapes.base import find_column, first_values
from workbench.types import Json

MAX_DEPTH = 3
MAX_MEMBERS = 200


def expand_objects(
    tables: Mapping[SplitName, Table], columns: Sequence[Column], chosen: Mapping[str, str]
) -> dict[SplitName, Table]:
    """Return the tables with the members of their objects as further columns, if a role has no column otherwise.

    A member has its own key as its name, or its path (``meta.label``) if another column has that name.

    Args:
        tables: the table of each split.
        columns: the roles of the task.
        chosen: role -> column, as the spec or the catalogue say; a column may be a path.
    """
    train = tables["train"]
    own = {name for column in columns if (name := find_column(train, (column.role, *column.guesses))) is not None}
    is_complete = all(
        chosen[column.role] in train.columns
        if column.role in chosen
        else not column.required or find_column(train, (column.role, *column.guesses)) is not None
        for column in columns
    )
    named = {name.partition(".")[0] for name in chosen.values()}
    paths = {} if is_complete else _member_names(train, list(chosen.values()), own - named)
    if not paths:
        return dict(tables)
    result = {}
    for split, table in tables.items():
        members = {name: [_member(table, path, i) for i in range(len(table))] for name, path in paths.items()}
        result[split] = table.with_columns({**table.columns, **members})
        result[split].notes = list(table.notes)
    listed = ", ".join(f"{name} ({'.'.join(path)})" for name, path in list(paths.items())[:8])
    result["train"].notes.append(f"{train.name}: the members of objects are columns, too: {listed}.")
    return result


def _member_names(table: Table, chosen: Sequence[str], used: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the path of each member that becomes a column, by the name of the column."""
    paths: dict[tuple[str, ...], None] = {}
    for column in [name for name in table.columns if name not in used]:
        values = first_values(table, column)
        if values and all(isinstance(value, dict) for value in values):
            for value in values:
                _add_paths(paths, (column,), value)
    counts = Counter(path[-1] for path in paths)
    names = {}
    for path in list(paths)[:MAX_MEMBERS]:
        dotted = ".".join(path)
        is_unique = counts[path[-1]] == 1 and path[-1] not in table.columns
        names[path[-1] if is_unique and dotted not in chosen else dotted] = path
    return {name: path for name, path in names.items() if name not in table.columns}


def _add_paths(paths: dict[tuple[str, ...], None], path: tuple[str, ...], value: Json) -> None:
    for key, member in value.items() if isinstance(value, dict) else ():
        if isinstance(member, dict) and member and len(path) < MAX_DEPTH:
            _add_paths(paths, (*path, key), member)
        else:
            paths[(*path, key)] = None


def _member(table: Table, path: Sequence[str], index: int) -> Json:
    value: Json = table.columns[path[0]][index]
    for key in path[1:]:
        value = value.get(key) if isinstance(value, dict) else None
    return value
