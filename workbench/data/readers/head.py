"""The first rows of a large file, as a small file of the same name."""

from __future__ import annotations

from pathlib import Path

from workbench.data.readers.file_types import CONLL, DELIMITED, MARKDOWN, PARQUET
from workbench.data.readers.parquet_reader import first_batch
from workbench.errors import DataError

_LINES = (*DELIMITED, ".jsonl", ".ndjson", *MARKDOWN, *CONLL)  # a row ends with a line, but for quoted line breaks
_ROWS = 1000  # of a Parquet file
_QUOTED = (".csv", ".tsv", ".tab")


def copy_head(path: Path, folder: Path, size: int) -> Path | None:
    """Copy the first rows of a file, which keep their numbers.

    Args:
        path: a table or a text.
        folder: where the copy is written; it is created.
        size: bytes to read at most.

    Returns:
        The copy; None if a file of this type cannot be cut, or if its first row is longer than ``size``.
    """
    suffix = path.suffix.lower()
    copy = folder / path.name
    if suffix in PARQUET:
        folder.mkdir(parents=True, exist_ok=True)
        return copy if _copy_parquet(path, copy) else None
    if suffix not in _LINES:
        return None
    with open(path, "rb") as file:
        content = file.read(size)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):  # UTF-16, in which a line break has two bytes
        return None
    content = _whole_rows(content, suffix)
    if not content:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(content)
    return copy


def _whole_rows(content: bytes, suffix: str) -> bytes:
    """Return the content up to the end of its last complete row."""
    end = content.rfind(b"\n\n" if suffix in CONLL else b"\n")
    if suffix in _QUOTED:
        quotes = content.count(b'"', 0, max(0, end))
        while end >= 0 and quotes % 2:  # inside a quoted field
            before = content.rfind(b"\n", 0, end)
            quotes -= content.count(b'"', max(0, before), end)
            end = before
    return content[: end + 1]


def _copy_parquet(path: Path, copy: Path) -> bool:
    """Copy the first rows of a Parquet file; what cannot be read is left to the reader, which says why."""
    try:
        batch = first_batch(path, _ROWS)
    except DataError:
        return False
    if batch is None:
        return False
    import pyarrow
    from pyarrow import parquet

    try:
        parquet.write_table(pyarrow.Table.from_batches([batch]), copy)
    except (OSError, pyarrow.ArrowException):
        return False
    return True
