"""Read a table: CSV and its relatives, JSON lines, Parquet. Unusable data is refused, with the row and the reason.

A file that is not what its name says (a pickle, an archive, a spreadsheet named ``.csv``) is recognized by its first
bytes and refused without being opened. Nothing is repaired or dropped: a row with too many fields, a byte that is not
text and a missing key are errors that name their location. What was detected, the encoding and the delimiter, is in the
table's notes.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

from workbench.data.readers.csv_reader import read_delimited
from workbench.data.readers.documents import read_documents
from workbench.data.readers.encoding import decode
from workbench.data.readers.file_types import JSON, MARKDOWN, PARQUET, check_file, read_bytes
from workbench.data.readers.json_reader import read_json
from workbench.data.readers.options import DocumentSplitting, ReadOptions
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
        path: a file with one of the suffixes in ``file_types.SUFFIXES``.
        delimiter: the separator of the fields in a CSV file; detected if None.
        encoding: the text's encoding; detected if None.
        options: how the file is written, if it is not plain CSV with a header line.
        documents: how to split a text into documents; None for a table. A ``.md`` file is always a text.

    Raises:
        DataError: the file is missing, empty, too large, or not a valid table; the message names the row.
        RefusedError: the file is a pickle.
        MissingPackageError: pyarrow is needed to read Parquet, and not installed.
    """
    options = options or ReadOptions()
    suffix = path.suffix.lower()
    if documents is not None or suffix in MARKDOWN:
        return read_documents(path, documents or "auto", encoding or options.encoding)
    check_file(path, suffix)
    if suffix in PARQUET:
        return read_parquet(path)
    content = read_bytes(path, path.name)
    text, notes = decode(content, path.name, encoding or options.encoding)
    if suffix in JSON:
        table = read_json(text, path.name)
    else:
        options = options.model_copy(update={"delimiter": delimiter or options.delimiter})
        table = read_delimited(lambda: io.StringIO(text, newline=""), path.name, options)
    if not len(table):
        raise DataError(f"{path.name} has column names but no rows.", "Provide a file with at least one row.")
    table.notes[:0] = notes
    table.sha256 = hashlib.sha256(content).hexdigest()
    return table
