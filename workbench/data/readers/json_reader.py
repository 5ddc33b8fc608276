"""JSON: one object per line, or one array of objects, all with the same keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NoReturn, TypeAlias

from workbench.data.readers.table import Table, check_names
from workbench.errors import DataError
from workbench.types import Json, JsonObject

NumberedValues: TypeAlias = tuple[int, list[Json]]  # the line of a row, and its values


def read_json(text: str, name: str) -> Table:
    """Read a table from JSON: one object per line, or one array of objects.

    Args:
        text: the content of the file.
        name: the file's name.

    Raises:
        DataError: a line is not JSON, or an object has other keys than the first; the message names the row.
    """
    if text.lstrip().startswith("["):
        return _read_json_array(text, name)
    records: list[Json] = []
    rows: list[int] = []
    blank = 0
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            blank += 1
            continue
        records.append(_load_line(content, name, line))
        rows.append(line)
    blank -= text.endswith("\n")
    notes = [f"{name}: skipped {blank} blank lines."] if blank > 0 else []
    return _from_objects(records, rows, "line", name, notes)


def stream_json_lines(
    lines: Callable[[], Iterable[str]], name: str
) -> tuple[list[str], Callable[[Sequence[str]], Iterator[NumberedValues]]]:
    """Read a file with one object per line, row by row.

    Args:
        lines: opens the file: its lines from the first on.
        name: the file's name.

    Returns:
        The keys, and a function that yields the rows, each with its line and its values under the keys it is called
        with.

    Raises:
        DataError: a line is not such an object; the message names it. Later lines are checked when they are read.
    """

    def records() -> Iterator[tuple[int, Json]]:
        for line, content in enumerate(lines(), start=1):
            if content.strip():
                yield line, _load_line(content, name, line)

    line, first = next(records(), (0, None))
    if not line:
        raise DataError(f"{name} has no rows.", "Provide a file with at least one row.")
    keys = list(_check_first(first, name, "line", line))

    def rows(names: Sequence[str]) -> Iterator[NumberedValues]:
        for number, record in records():
            fields = _check_keys(record, keys, f"{name}, line {number}")
            yield number, [fields[key] for key in names]

    return keys, rows


def _load_line(content: str, name: str, line: int) -> Json:
    try:
        return _loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{name}, line {line}: {_json_reason(error)}.", "Each line must be one complete JSON object."
        ) from error


def _read_json_array(text: str, name: str) -> Table:
    try:
        records = _loads(text)
    except (ValueError, RecursionError) as error:
        hint = "Provide a JSON array of objects, or one object per line."
        raise DataError(f"{name}: {_json_reason(error)}.", hint) from error
    assert isinstance(records, list)
    return _from_objects(records, list(range(1, len(records) + 1)), "row", name, [])


def _loads(text: str) -> Json:
    value: Json = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _unique_keys(pairs: list[tuple[str, Json]]) -> JsonObject:
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:60]!r} occurs twice in one object")
    return record


def _json_reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg}, at character {error.pos + 1}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _from_objects(records: list[Json], rows: list[int], unit: str, name: str, notes: list[str]) -> Table:
    """Return a table from objects that all have the same keys."""
    keys: list[str] = []
    objects: list[JsonObject] = []
    for row, record in zip(rows, records, strict=True):
        keys = keys or list(_check_first(record, name, unit, row))
        objects.append(_check_keys(record, keys, f"{name}, {unit} {row}"))
    return Table(name, {key: [record[key] for record in objects] for key in keys}, rows, unit, notes)


def _check_first(record: Json, name: str, unit: str, row: int) -> JsonObject:
    """Return the first object, whose keys all others must have."""
    where = f"{name}, {unit} {row}"
    fields = _check_object(record, where)
    if check_names(list(fields), name, row) != list(fields):
        raise DataError(f"{where}: a key begins or ends with a space.", "Remove the spaces around the key.")
    return fields


def _check_object(record: Json, where: str) -> JsonObject:
    if not isinstance(record, dict):
        kind = type(record).__name__
        raise DataError(f"{where}: an object is needed ({{...}}), not {kind}.", "Write each example as an object.")
    return record


def _check_keys(record: Json, keys: list[str], where: str) -> JsonObject:
    fields = _check_object(record, where)
    if fields.keys() != set(keys):
        missing = [key for key in keys if key not in fields]
        extra = [key for key in fields if key not in keys]
        problem = f"lacks {missing[0][:60]!r}" if missing else f"has {extra[0][:60]!r}, which the first does not have"
        raise DataError(f"{where}: {problem}.", f"Every object needs the same keys: {', '.join(keys)[:200]}.")
    return fields
