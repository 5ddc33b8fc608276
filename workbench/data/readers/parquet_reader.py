"""Parquet: the sizes that a file declares are checked before any of it is unpacked."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from workbench.data.readers.class_names import class_names, use_class_names
from workbench.data.readers.file_types import MAX_BYTES
from workbench.data.readers.table import MAX_COLUMNS, Table, check_names
from workbench.errors import DataError, MissingPackageError
from workbench.types import Json

if TYPE_CHECKING:
    from pyarrow import DataType
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
        content = file.read(columns=usable).to_pydict()
        names = class_names(file.schema_arrow.metadata)
    count = len(next(iter(content.values())))
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    table = Table(path.name, content, list(range(1, count + 1)), "row", [], unusable, digest)
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
                content = batch.to_pydict()
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

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_nested(kind):
        return _nesting_problem(kind, 0)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_boolean(kind):
        return None
    if types.is_integer(kind) or types.is_floating(kind):
        return None
    return f"its type is {kind}, but text, numbers or lists of text are needed"


def _nesting_problem(kind: DataType, depth: int) -> str | None:
    """Return why a column of lists or objects cannot be used; None if it can."""
    import pyarrow.types as types

    if depth > MAX_DEPTH:
        return f"it holds lists or objects nested more than {MAX_DEPTH} deep"
    if types.is_list(kind) or types.is_large_list(kind):
        return _nesting_problem(kind.value_type, depth + 1)
    if types.is_struct(kind):
        return next((reason for field in kind if (reason := _nesting_problem(field.type, depth + 1))), None)
    return f"it holds values of type {kind}" if types.is_nested(kind) else _type_problem(kind)
