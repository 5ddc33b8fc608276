"""Parquet: what the file says of itself is checked before anything of it is unpacked."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from workbench.data.readers.file_types import MAX_BYTES
from workbench.data.readers.table import MAX_COLUMNS, Table, check_names
from workbench.errors import DataError, MissingPackageError

MAX_ROWS = 20_000_000
_BATCH = 1024  # rows held at a time where they are streamed


def read_parquet(path: Path) -> Table:
    """The columns of a Parquet file that can be used. Raises DataError; MissingPackageError without pyarrow."""
    with _opened(path) as file:
        usable, unusable = _columns(file, path.name)
        content = file.read(columns=usable).to_pydict()
    count = len(next(iter(content.values())))
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Table(path.name, content, list(range(1, count + 1)), "row", [], unusable, digest)


def stream_parquet(
    path: Path,
) -> tuple[list[str], dict[str, str], Callable[[Sequence[str]], Iterator[tuple[int, tuple[Any, ...]]]]]:
    """The same, ``_BATCH`` rows at a time: columns that can be used, those that cannot with the reason, and what gives
    the rows: the number of each, and its values in the columns named. Raises as :func:`read_parquet`."""
    with _opened(path) as file:
        usable, unusable = _columns(file, path.name)

    def rows(names: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        number = 0
        with _opened(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH, columns=list(dict.fromkeys(names))):
                content = batch.to_pydict()
                for values in zip(*(content[name] for name in names), strict=True):
                    number += 1
                    yield number, values

    return usable, unusable, rows


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, when what it says of its size is allowed; what pyarrow raises is told as a DataError."""
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingPackageError("pyarrow", "to read Parquet files") from error
    try:
        with parquet.ParquetFile(path) as file:
            _check_parquet_size(file.metadata, path.name)
            yield file
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path.name} cannot be read as Parquet: {reason}.", "Write the file again.") from error


def _columns(file: Any, name: str) -> tuple[list[str], dict[str, str]]:
    """The columns that can be used, and those that cannot with the reason. Raises DataError where nothing can."""
    unusable = {field.name: reason for field in file.schema_arrow if (reason := _parquet_problem(field.type))}
    usable = [column for column in file.schema_arrow.names if column not in unusable]
    check_names(file.schema_arrow.names, name, 1)
    if not usable:
        raise DataError(f"{name} has no column of text, numbers or lists of text.", "Write the columns as text.")
    if not file.metadata.num_rows:
        raise DataError(f"{name} has column names but no rows.", "Give a file with at least one row.")
    return usable, unusable


def _check_parquet_size(metadata: Any, name: str) -> None:
    """Refuse by what the file says of itself, before anything of it is unpacked."""
    groups = range(metadata.num_row_groups) if metadata.num_row_groups <= 1_000_000 else range(0)
    size = sum(metadata.row_group(i).total_byte_size for i in groups)
    rows = metadata.num_rows
    if not 0 <= rows <= MAX_ROWS or not 0 <= size <= MAX_BYTES or metadata.num_columns > MAX_COLUMNS or not groups:
        raise DataError(
            f"{name} says that it holds {rows:,} rows, {metadata.num_columns:,} columns and {size:,} bytes; at most "
            f"{MAX_ROWS:,} rows, {MAX_COLUMNS:,} columns and {MAX_BYTES:,} bytes, and at least one row, are read.",
            "Use a part of it.",
        )


def _parquet_problem(kind: Any) -> str | None:
    """Why a column of this Arrow type cannot be used; None when it can."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_list(kind) or types.is_large_list(kind):
        kind = kind.value_type
        if types.is_nested(kind):
            return "it holds lists of lists or of objects"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_boolean(kind):
        return None
    if types.is_integer(kind) or types.is_floating(kind):
        return None
    return f"its type is {kind}, and text, numbers or lists of text are needed"
