"""Parquet: the sizes that a file declares are checked before any of it is unpacked."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from workbench.data.readers.class_names import class_names, use_class_names
from workbench.data.readers.file_types import MAX_BYTES
from workbench.data.readers.table import MAX_COLUMNS, Table, check_names
from workbench.errors import DataError, MissingPackageError
from workbench.types import Json

if TYPE_CHECKING:
    from pyarrow import Array, ChunkedArray, DataType
    from pyarrow.parquet import FileMetaData, ParquetFile

MAX_ROWS = 20_000_000
MAX_DEPTH = 6  # lists and objects inside each other
_BATCH = 1024  # rows in memory while streaming

NumberedValues: TypeAlias = tuple[int, tuple[Json, ...]]  # the number of a row, and its values


def read_parquet(path: Path) -> Table:
    """Read the usable columns of a Parquet file.

    Args:
        path: the file.

    Raises:
        DataError: it cannot be read, is too large, or has no rows or no usable columns.
        MissingPackageError: pyarrow is not installed.
    """
    with _open_parquet(path) as file:
        usable, unusable = _usable_columns(file, path.name)
        read = file.read(columns=usable)
        content = {column: _values(read[column]) for column in usable}
        names = class_names(file.schema_arrow.metadata)
        notes = _note_written_out(file, usable, path.name)
    count = len(next(iter(content.values())))
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    table = Table(path.name, content, list(range(1, count + 1)), "row", notes, unusable, digest)
    use_class_names(table, names)
    return table


def stream_parquet(
    path: Path,
) -> tuple[list[str], dict[str, str], Callable[[Sequence[str]], Iterator[NumberedValues]]]:
    """Read a Parquet file in batches of ``_BATCH`` rows.

    Args:
        path: the file.

    Returns:
        The usable columns; the others with the reason; and a function that yields the rows, each with its number and
        its values in the columns it is called with.

    Raises:
        DataError: it cannot be read, is too large, or has no rows or no usable columns.
        MissingPackageError: pyarrow is not installed.
    """
    with _open_parquet(path) as file:
        usable, unusable = _usable_columns(file, path.name)

    def rows(names: Sequence[str]) -> Iterator[NumberedValues]:
        number = 0
        with _open_parquet(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH, columns=list(dict.fromkeys(names))):
                content = {name: _values(batch[name]) for name in names}
                for values in zip(*(content[name] for name in names), strict=True):
                    number += 1
                    yield number, values

    return usable, unusable, rows


@contextlib.contextmanager
def _open_parquet(path: Path) -> Iterator[ParquetFile]:
    """Open a file whose declared size is allowed; errors of pyarrow become DataErrors."""
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingPackageError("pyarrow", "to read Parquet files") from error
    try:
        with parquet.ParquetFile(path) as file:
            _check_declared_size(file.metadata, path.name)
            yield file
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path.name} cannot be read as Parquet: {reason}.", "Write the file again.") from error


def _usable_columns(file: ParquetFile, name: str) -> tuple[list[str], dict[str, str]]:
    """Return the usable columns, and the others with the reason; raise DataError if none is usable."""
    unusable = {field.name: reason for field in file.schema_arrow if (reason := _type_problem(field.type))}
    usable = [column for column in file.schema_arrow.names if column not in unusable]
    check_names(file.schema_arrow.names, name, 1)
    if not usable:
        raise DataError(f"{name} has no column of text, numbers or lists of text.", "Write the columns as text.")
    if not file.metadata.num_rows:
        raise DataError(f"{name} has column names but no rows.", "Provide a file with at least one row.")
    return usable, unusable


def _check_declared_size(metadata: FileMetaData, name: str) -> None:
    """Refuse a file by the size that it declares, before any of it is unpacked."""
    groups = range(metadata.num_row_groups) if metadata.num_row_groups <= 1_000_000 else range(0)
    size = sum(metadata.row_group(i).total_byte_size for i in groups)
    rows = metadata.num_rows
    if not 0 <= rows <= MAX_ROWS or not 0 <= size <= MAX_BYTES or metadata.num_columns > MAX_COLUMNS or not groups:
        raise DataError(
            f"{name} declares {rows:,} rows, {metadata.num_columns:,} columns and {size:,} bytes. It needs at least "
            f"one row, and at most {MAX_ROWS:,} rows, {MAX_COLUMNS:,} columns and {MAX_BYTES:,} bytes.",
            "Use a smaller file.",
        )


def _type_problem(kind: DataType) -> str | None:
    """Return why a column of this Arrow type cannot be used; None if it can."""
    import pyarrow.types as types

    kind = _plain_type(kind)
    if types.is_nested(kind):
        return _nesting_problem(kind, 0)
    if _is_simple(kind) or _written_out(kind) is not None:
        return None
    return f"its type is {kind}, but text, numbers, dates or lists of text are needed"


def _is_simple(kind: DataType) -> bool:
    """Return whether values of a type are texts, numbers, or true and false."""
    import pyarrow.types as types

    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return True
    return bool(types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind))


def _nesting_problem(kind: DataType, depth: int) -> str | None:
    """Return why a column of lists or objects cannot be used; None if it can."""
    import pyarrow.types as types

    kind = _plain_type(kind)
    if depth > MAX_DEPTH:
        return f"it holds lists or objects nested more than {MAX_DEPTH} deep"
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if is_list or types.is_list_view(kind) or types.is_large_list_view(kind):
        return _nesting_problem(kind.value_type, depth + 1)
    if types.is_struct(kind):
        return next((reason for field in kind if (reason := _nesting_problem(field.type, depth + 1))), None)
    return None if _is_simple(kind) else f"it holds values of type {kind}"


def _plain_type(kind: DataType) -> DataType:
    """Return the type of the values of a dictionary or an extension type; any other type as it is."""
    import pyarrow.types as types

    while types.is_dictionary(kind) or hasattr(kind, "storage_type"):
        kind = kind.value_type if types.is_dictionary(kind) else kind.storage_type
    return kind


def _written_out(kind: DataType) -> str | None:
    """Return what values of a type are that become text: dates, times, decimals; None for another type."""
    import pyarrow.types as types

    if types.is_date(kind):
        return "dates"
    if types.is_timestamp(kind):
        return "dates with times"
    if types.is_time(kind):
        return "times"
    return "decimals" if types.is_decimal(kind) else None


def _note_written_out(file: ParquetFile, usable: Sequence[str], name: str) -> list[str]:
    """Return a note on the columns whose values become text."""
    kinds = {field.name: _written_out(_plain_type(field.type)) for field in file.schema_arrow if field.name in usable}
    listed = ", ".join(f"{column!r} ({kind})" for column, kind in kinds.items() if kind is not None)
    return [f"{name}: read as text: {listed}."] if listed else []


def _values(column: ChunkedArray | Array) -> list[Json]:
    """Return the values of a column; dates, times and decimals as text."""
    import pyarrow

    kind = _plain_type(column.type)
    if _written_out(kind) is None:
        values: list[Json] = column.to_pylist()
        return values
    if column.type != kind:
        column = column.cast(kind)
    text: list[str | None] = column.cast(pyarrow.string()).to_pylist()
    return [None if value is None else _shorten_time(value) for value in text]


def _shorten_time(value: str) -> str:
    """Return a time without zeros after the point, and a date without its midnight."""
    if ":" not in value:
        return value
    value = re.sub(r"(:\d\d)\.(\d*?)0+(?=$|Z|[+-])", lambda match: f"{match[1]}.{match[2]}".rstrip("."), value)
    return value.removesuffix(" 00:00:00")
