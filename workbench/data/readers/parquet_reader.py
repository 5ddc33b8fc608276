"""Parquet, read in batches: what is made of a file is counted, because what it says about its size need not be true.

A column with a dictionary is read as one: 200,000 rows of one long text are that text once, and 200,000 numbers.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from workbench.data.readers.class_names import class_names, use_class_names
from workbench.data.readers.limits import (
    MAX_BYTES,
    MAX_ROWS,
    MAX_VALUES,
    SMALL,
    Budget,
    check_unpacked,
    too_many_values,
)
from workbench.data.readers.table import MAX_COLUMNS, Table, check_names
from workbench.errors import DataError, MissingPackageError
from workbench.types import Json

if TYPE_CHECKING:
    from pyarrow import Array, DataType, RecordBatch
    from pyarrow.parquet import FileMetaData, ParquetFile

MAX_DEPTH = 6  # lists and objects inside each other
_BATCH = 1024  # rows in memory while reading
_SMALL_BATCH = 16  # where a row may repeat a long text with a few bytes

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
        _check_declared_values(file.metadata, usable, path.name)
        content: dict[str, list[Json]] = {column: [] for column in usable}
        for batch in _batches(file, path, usable):
            for column in usable:
                content[column] += _values(batch[column])
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
            for batch in _batches(file, path, list(dict.fromkeys(names)), stream=True):
                content = {name: _values(batch[name]) for name in names}
                for values in zip(*(content[name] for name in names), strict=True):
                    number += 1
                    yield number, values

    return usable, unusable, rows


def first_batch(path: Path, rows: int, columns: Sequence[str] | None = None) -> RecordBatch | None:
    """Return the first rows of a Parquet file; None without rows, or if they are larger than ``SMALL`` bytes.

    Args:
        path: the file.
        rows: how many.
        columns: which columns; all if None.

    Raises:
        DataError: it cannot be read, or is too large.
        MissingPackageError: pyarrow is not installed.
    """
    with _open_parquet(path) as file:
        batch = next(file.iter_batches(batch_size=rows, columns=None if columns is None else list(columns)), None)
        if batch is None or sum(_measure(column)[1] for column in batch.columns) > SMALL:
            return None
        return batch


def column_names(path: Path) -> list[str]:
    """Return the names of the columns of a Parquet file.

    Args:
        path: the file.

    Raises:
        DataError: it cannot be read.
        MissingPackageError: pyarrow is not installed.
    """
    with _open_parquet(path) as file:
        return list(file.schema_arrow.names)


def _batches(file: ParquetFile, path: Path, columns: list[str], stream: bool = False) -> Iterator[RecordBatch]:
    """Yield the rows of a file; what they hold is counted first. A stream is not held in memory: its rows are not."""
    packed = path.stat().st_size
    budget = Budget(path.name, packed)
    made = 0
    for batch in file.iter_batches(batch_size=_batch_size(file.metadata), columns=columns):
        measured = [_measure(column) for column in batch.columns]
        made += sum(size for _, size in measured)
        check_unpacked(path.name, made, packed)
        if not stream:
            budget.rows += batch.num_rows
            budget.values += sum(count for count, _ in measured)
            budget.check()
        yield batch


def _batch_size(metadata: FileMetaData) -> int:
    """Return how many rows to read at a time: few if the file may repeat the beginning of a text in a byte."""
    for group in range(min(metadata.num_row_groups, 1000)):
        for column in range(metadata.num_columns):
            if "DELTA_BYTE_ARRAY" in metadata.row_group(group).column(column).encodings:
                return _SMALL_BATCH
    return _BATCH


def _measure(array: Array) -> tuple[int, int]:
    """Return how many values an array holds at any depth, and the bytes of these values, each counted."""
    import pyarrow.compute as compute
    import pyarrow.types as types

    if types.is_dictionary(array.type):
        sizes = compute.binary_length(array.dictionary) if _is_text(array.dictionary.type) else None
        if sizes is None:
            return len(array), 8 * len(array)
        return len(array), int(compute.sum(compute.take(sizes, array.indices)).as_py() or 0)
    if types.is_struct(array.type):
        parts = [_measure(field) for field in array.flatten()]
    elif types.is_nested(array.type) and hasattr(array, "flatten"):
        parts = [_measure(array.flatten())]
    else:
        return len(array), int(array.nbytes)
    return len(array) + sum(count for count, _ in parts), 8 * len(array) + sum(size for _, size in parts)


def _is_text(kind: DataType) -> bool:
    import pyarrow.types as types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind))


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
            _check_declared_size(file.metadata, path.name, path.stat().st_size)
            dictionaries = _dictionary_columns(file.metadata)
        with parquet.ParquetFile(path, read_dictionary=dictionaries) as file:
            yield file
    except pyarrow.ArrowMemoryError as error:
        raise MemoryError(str(error)) from error
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


def _check_declared_size(metadata: FileMetaData, name: str, packed: int) -> None:
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
    check_unpacked(name, size, packed)


def _check_declared_values(metadata: FileMetaData, columns: Sequence[str], name: str) -> None:
    """Refuse a file by the number of values that it declares: a list of a billion empty items needs a few bytes."""
    usable = set(columns)
    values = 0
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for index in range(row_group.num_columns):
            column = row_group.column(index)
            if column.path_in_schema.partition(".")[0] in usable or column.path_in_schema in usable:
                values += column.num_values
    if values > MAX_VALUES:
        raise too_many_values(name, values)


def _dictionary_columns(metadata: FileMetaData) -> list[str]:
    """Return the paths of the columns of texts that have a dictionary."""
    paths = []
    for index in range(metadata.num_columns if metadata.num_row_groups else 0):
        column = metadata.row_group(0).column(index)
        if column.physical_type == "BYTE_ARRAY" and {"RLE_DICTIONARY", "PLAIN_DICTIONARY"} & set(column.encodings):
            paths.append(column.path_in_schema)
    return paths


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


def _values(column: Array) -> list[Json]:
    """Return the values of a column; dates, times and decimals as text."""
    import pyarrow
    import pyarrow.types as types

    kind = _plain_type(column.type)
    if types.is_dictionary(column.type) and _written_out(kind) is None:  # one object for equal texts
        words: list[Json] = column.dictionary.to_pylist()
        return [None if index is None else words[index] for index in column.indices.to_pylist()]
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
