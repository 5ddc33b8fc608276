"""Reading a table: CSV and its relatives, JSON lines, Parquet. What cannot be used is refused, with the row and reason.

A file that is not what its name says (a pickle, an archive, a spreadsheet under ``.csv``) is recognised by its first
bytes and refused without being opened. Nothing is repaired or dropped on the way: a row that has too many fields, a
byte that is not text, a key that is missing are errors that say where they stand. What was found out by itself, the
encoding and the delimiter, is told in the table's notes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from workbench.data.catalogue.entries import ReadOptions
from workbench.data.readers.csv_reader import read_delimited
from workbench.data.readers.documents import DocumentSplitting, read_documents
from workbench.data.readers.encoding import decode
from workbench.data.readers.file_types import JSON, MARKDOWN, PARQUET, check_file
from workbench.data.readers.json_reader import read_json
from workbench.data.readers.parquet_reader import read_parquet
from workbench.data.readers.table import Table
from workbench.errors import DataError


def read_table(
    path: Path,
    delimiter: str | None = None,
    encoding: str | None = None,
    options: ReadOptions | None = None,
    documents: DocumentSplitting | None = None,
) -> Table:
    """Read a table from a file, or the documents of a text.

    Args:
        path: a file whose name ends in one of ``formats.SUFFIXES``.
        delimiter: what separates the fields of a CSV file; found by itself if left out.
        encoding: the text's encoding; found by itself if left out.
        options: how the file is written, where that is not plain CSV with a header line.
        documents: read a text, cut like this; None for a table. A ``.md`` file is a text anyway.

    Raises:
        DataError: the file is missing, empty, too large, or not a whole table; the message names the row.
        RefusedError: the file is a pickle.
        MissingPackageError: pyarrow (Parquet) or charset-normalizer (encodings) is needed and not installed.
    """
    options = options or ReadOptions()
    suffix = path.suffix.lower()
    if documents is not None or suffix in MARKDOWN:
        return read_documents(path, documents or "auto", encoding or options.encoding)
    check_file(path, suffix)
    if suffix in PARQUET:
        return read_parquet(path)
    content = _read_bytes(path)
    text, notes = decode(content, path.name, encoding or options.encoding)
    if suffix in JSON:
        table = read_json(text, path.name)
    else:
        table = read_delimited(
            text, path.name, options.model_copy(update={"delimiter": delimiter or options.delimiter})
        )
    if not len(table):
        raise DataError(f"{path.name} has column names but no rows.", "Give a file with at least one row.")
    table.notes[:0] = notes
    table.sha256 = hashlib.sha256(content).hexdigest()
    return table


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}.", "Check the file's permissions.") from error
