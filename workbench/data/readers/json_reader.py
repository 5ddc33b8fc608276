"""JSON: an object on each line, or one array of objects, all with the same keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from workbench.data.readers.table import Table, check_names
from workbench.errors import DataError


def read_json(text: str, name: str) -> Table:
    """A JSON object on each line, or one array of objects."""
    if text.lstrip().startswith("["):
        return _read_json_array(text, name)
    records: list[Any] = []
    rows: list[int] = []
    blank = 0
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            blank += 1
            continue
        records.append(_load_line(content, name, line))
        rows.append(line)
    blank -= text.endswith("\n")
    notes = [f"{name}: {blank} blank lines were passed over."] if blank > 0 else []
    return _from_objects(records, rows, "line", name, notes)


def stream_json_lines(
    lines: Callable[[], Iterable[str]], name: str
) -> tuple[list[str], Callable[[Sequence[str]], Iterator[tuple[int, list[Any]]]]]:
    """The keys of a file with an object on each line, and what gives the rows: the line of each, and its values under
    the keys named. Raises DataError, with the line, once the rows are read up to there."""

    def objects() -> Iterator[tuple[int, Any]]:
        for line, content in enumerate(lines(), start=1):
            if content.strip():
                yield line, _load_line(content, name, line)

    line, first = next(objects(), (0, None))
    if not line:
        raise DataError(f"{name} has no rows.", "Give a file with at least one row.")
    keys = _keys(first, name, "line", line)

    def rows(names: Sequence[str]) -> Iterator[tuple[int, list[Any]]]:
        for number, record in objects():
            _check_keys(record, keys, f"{name}, line {number}")
            yield number, [record[wanted] for wanted in names]

    return keys, rows


def _load_line(content: str, name: str, line: int) -> Any:
    try:
        return _loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{name}, line {line}: {_json_reason(error)}.", "Each line must be one whole JSON object."
        ) from error


def _read_json_array(text: str, name: str) -> Table:
    try:
        records = _loads(text)
    except (ValueError, RecursionError) as error:
        hint = "Give a JSON array of objects, or an object a line."
        raise DataError(f"{name}: {_json_reason(error)}.", hint) from error
    return _from_objects(records, list(range(1, len(records) + 1)), "row", name, [])


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_unique_keys)


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:60]!r} stands twice in one object")
    return found


def _json_reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg}, at character {error.pos + 1}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _from_objects(records: list[Any], rows: list[int], unit: str, name: str, notes: list[str]) -> Table:
    """A table from objects that all have the same keys."""
    keys: list[str] = []
    for row, record in zip(rows, records, strict=True):
        keys = keys or _keys(record, name, unit, row)
        _check_keys(record, keys, f"{name}, {unit} {row}")
    columns = {key: [record[key] for record in records] for key in keys}
    return Table(name, columns, rows, unit, notes)


def _keys(record: Any, name: str, unit: str, row: int) -> list[str]:
    """The keys of the first object, which all others must have."""
    where = f"{name}, {unit} {row}"
    _check_object(record, where)
    keys = check_names(list(record), name, row)
    if keys != list(record):
        raise DataError(f"{where}: a key begins or ends with a space.", "Name the keys without spaces around.")
    return keys


def _check_object(record: Any, where: str) -> None:
    if not isinstance(record, dict):
        kind = type(record).__name__
        raise DataError(f"{where}: an object is needed ({{...}}), not {kind}.", "Write each example as an object.")


def _check_keys(record: Any, keys: list[str], where: str) -> None:
    _check_object(record, where)
    if record.keys() != set(keys):
        missing = [key for key in keys if key not in record]
        extra = [key for key in record if key not in keys]
        what = f"lacks {missing[0][:60]!r}" if missing else f"has {extra[0][:60]!r}, which the first does not have"
        raise DataError(f"{where}: {what}.", f"Every object needs the same keys: {', '.join(keys)[:200]}.")
