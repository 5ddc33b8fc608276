"""Names of classes in a Parquet file: the hub stores labels as numbers, and their names in the schema's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from workbench.data.readers.table import Table
from workbench.errors import DataError
from workbench.types import Json

MAX_BYTES = 16 * 1024**2  # of metadata


def class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """Return column -> names of its numbers, as the library ``datasets`` writes them.

    Args:
        metadata: the metadata of an Arrow schema.
    """
    content = (metadata or {}).get(b"huggingface", b"")
    if not content or len(content) > MAX_BYTES:
        return {}
    try:
        document: Json = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    for key in ("info", "features"):
        document = document.get(key) if isinstance(document, dict) else None
    features = document if isinstance(document, dict) else {}
    return {column: names for column, feature in features.items() if (names := _names(feature))}


def _names(feature: Json, depth: int = 0) -> list[str]:
    """Return the names of a feature, or of the items of its lists; none if it has no classes."""
    if isinstance(feature, list) and len(feature) == 1:
        feature = feature[0]
    if not isinstance(feature, dict) or depth > 2:
        return []
    if feature.get("_type") == "ClassLabel":
        names = feature.get("names")
        return [str(name) for name in names] if isinstance(names, list) else []
    return _names(feature.get("feature"), depth + 1)


def use_class_names(table: Table, names: Mapping[str, Sequence[str]]) -> None:
    """Replace the numbers in the columns of a table by their names; -1 is a missing label.

    Args:
        table: changed in place.
        names: column -> names.

    Raises:
        DataError: a number has no name.
    """
    for column, own in names.items():
        if column not in table.columns:
            continue
        values = table.columns[column]
        if not any(
            isinstance(item, int) for value in values for item in (value if isinstance(value, list) else [value])
        ):
            continue
        table.columns[column] = [
            [_name(table, i, column, item, own) for item in value]
            if isinstance(value, list)
            else _name(table, i, column, value, own)
            for i, value in enumerate(values)
        ]
        listed = ", ".join(own[:20]) + (f" and {len(own) - 20} more" if len(own) > 20 else "")
        table.notes.append(f"{table.name}: the numbers in column {column!r} have names in the file: {listed}.")


def _name(table: Table, index: int, column: str, value: Json, names: Sequence[str]) -> Json:
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if value == -1:
        return None
    if not 0 <= value < len(names):
        raise DataError(
            f"{table.where(index)}: column {column!r} holds {value}, but the file names only 0 to {len(names) - 1}.",
            "Write the file again with all names, or with the labels as text.",
        )
    return names[value]
