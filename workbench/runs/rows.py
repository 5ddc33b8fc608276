"""Rows of a table of runs: their columns, and the same rows as an Arrow table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from workbench.errors import MissingPackageError

if TYPE_CHECKING:
    import pyarrow

Row: TypeAlias = dict[str, Any]  # a field of the user's spec may have any value
INDEX = "_index"  # the column of an Arrow table that holds the row's index


def column_names(rows: Sequence[Row]) -> list[str]:
    """Return every field that some row has, in the order in which they first appear."""
    return list(dict.fromkeys(name for row in rows for name in row))


def as_text(value: object) -> str:
    """Return a value as text that can be encoded: a string as it is, anything else as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text.encode("utf-8", errors="replace").decode()


def to_arrow(rows: Sequence[Row]) -> pyarrow.Table:
    """Return the rows as an Arrow table, with each row's index in the column ``INDEX``.

    Raises:
        MissingPackageError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingPackageError("pyarrow", "to filter and export runs") from error
    columns = {INDEX: pa.array(range(len(rows)), pa.int64())}
    used = {INDEX}
    for name in column_names(rows):
        if name.lower() not in used:  # names in SQL are not case-sensitive
            used.add(name.lower())
            columns[name] = _column(name, [row.get(name) for row in rows])
    return pa.table(columns)


def _column(name: str, values: list[Any]) -> pyarrow.Array:
    import pyarrow as pa

    present = [value for value in values if value is not None]
    if name == "tags":
        return pa.array([[str(tag) for tag in value or []] for value in values], pa.list_(pa.string()))
    if name == "created":
        return pa.array([_timestamp(value) for value in values], pa.timestamp("us", tz="UTC"))
    if present and all(isinstance(value, bool) for value in present):
        return pa.array(values, pa.bool_())
    if present and all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([None if value is None else as_text(value) for value in values], pa.string())


def _timestamp(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
