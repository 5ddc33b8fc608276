"""Read a table: CSV and its relatives, JSON, Parquet, Excel. Unusable data is refused, with the row and the reason.

A file that is not what its name says (a pickle, an archive, a spreadsheet named ``.csv``) is recognized by its first
bytes and refused without being opened. Nothing is repaired or dropped: a row with too many fields, a byte that is not
text and a missing key are errors that name their location. What was detected, the encoding and the delimiter, is in the
table's notes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from workbench.data.progress import Progress
from workbench.data.readers.archives import note_unpacked, unpacked
from workbench.data.readers.class_folders import read_class_folder
from workbench.data.readers.csv_reader import read_delimited
from workbench.data.readers.documents import read_documents
from workbench.data.readers.encodings.encoding import decode
from workbench.data.readers.encodings.marks import note_marks
from workbench.data.readers.excel_reader import read_excel
from workbench.data.readers.file_types import EXCEL, JSON, MARKDOWN, PARQUET, SUFFIXES, check_file, read_bytes
from workbench.data.readers.json_reader import is_one_object_per_line, read_json
from workbench.data.readers.limits import Budget, check_lines
from workbench.data.readers.line_texts import read_line_texts
from workbench.data.readers.options import DocumentSplitting, ReadOptions
from workbench.data.readers.parquet_reader import read_parquet
from workbench.data.readers.table import BadRow, Table
from workbench.data.readers.text_lines import text_lines
from workbench.errors import DataError

_JSON_HEAD = 1 << 20  # characters that show whether lines are objects
_MARKED = re.compile("[\udc80-\udcff]")  # bytes that could not be decoded


def read_table(
    path: Path,
    delimiter: str | None = None,
    encoding: str | None = None,
    options: ReadOptions | None = None,
    documents: DocumentSplitting | None = None,
    collect_bad_rows: bool = False,
    progress: Progress | None = None,
) -> Table:
    """Read a table from a file, or the documents of a text.

    Args:
        path: a file with one of the suffixes in ``file_types.SUFFIXES``, one such file in a ``.gz`` or ``.zip`` file,
            or a folder with a subfolder of texts for each label.
        delimiter: the separator of the fields in a CSV file; detected if None.
        encoding: the text's encoding; detected if None.
        options: how the file is written, if it is not plain CSV with a header line.
        documents: how to split a text into documents; None for a table. A ``.md`` file is always a text.
        collect_bad_rows: whether rows of CSV and JSON lines that cannot be read are collected in ``Table.bad_rows``
            instead of refused.
        progress: called while a large file is read, with characters instead of bytes.

    Raises:
        DataError: the file is missing, empty, too large, or not a valid table; the message names the row.
        RefusedError: the file is a pickle.
        MissingPackageError: pyarrow (Parquet) or openpyxl (Excel) is needed and not installed.
    """
    options = options or ReadOptions()
    updates = {"delimiter": delimiter or options.delimiter, "encoding": encoding or options.encoding}
    options = options.model_copy(update=updates)
    with unpacked(path) as file:
        table = _read_file(file, options, documents, collect_bad_rows, progress)
    table.notes[:0] = note_unpacked(path, file)
    return table


def _read_file(
    path: Path,
    options: ReadOptions,
    documents: DocumentSplitting | None,
    collect_bad_rows: bool,
    progress: Progress | None,
) -> Table:
    suffix = path.suffix.lower()
    if documents is not None or suffix in (*MARKDOWN, *PARQUET) or (path.is_dir() and suffix not in SUFFIXES):
        refuse_header(options.header, path.name)
    if documents is not None or suffix in MARKDOWN:
        return read_documents(path, documents or "auto", options.encoding)
    if path.is_dir() and suffix not in SUFFIXES:
        return read_class_folder(path, options.encoding)
    check_file(path, suffix)
    if options.sheet is not None and suffix not in EXCEL:
        raise DataError(f"data.sheet is {options.sheet!r}, but {path.name} is not an Excel file.", "Remove data.sheet.")
    if suffix in EXCEL:
        return read_excel(path, options.sheet, header=options.header)
    if suffix in PARQUET:
        return read_parquet(path)
    content = read_bytes(path, path.name)
    digest = hashlib.sha256(content).hexdigest()
    budget = Budget(path.name, len(content))
    text, notes, undecodable = _decode(content, path.name, options.encoding, collect_bad_rows)
    del content  # a large file is in memory once
    text = text.removesuffix("\x1a")  # the end of a file, as DOS marks it
    notes += note_marks(text, path.name)
    if suffix in JSON or is_one_object_per_line(text_lines(text[:_JSON_HEAD], path.name, only_newlines=True)):
        table = read_json(text, path.name, collect_bad_rows, progress, budget, options.header)
        if list(table.columns) != list(options.header or table.columns):
            refuse_header(options.header, path.name)
        if suffix not in JSON:
            table.notes.insert(0, f"{path.name}: read as JSON with one object per line, whatever its name says.")
    elif suffix == ".txt" and options == ReadOptions() and (texts := read_line_texts(text, path.name)) is not None:
        table = texts
    else:
        check_lines(path.name, text)

        def lines() -> Iterator[str]:
            return budget.watch(text_lines(text, path.name, progress))

        table = read_delimited(lines, path.name, options, collect_bad_rows)
    if undecodable is not None:
        table = _without_undecodable(table, undecodable)
    if not len(table) and not table.bad_rows:
        raise DataError(f"{path.name} has column names but no rows.", "Provide a file with at least one row.")
    table.notes[:0] = notes
    table.sha256 = digest
    return table


def refuse_header(header: Sequence[str] | None, name: str) -> None:
    """Refuse names of columns for a file that has its own.

    Args:
        header: the names, if the spec has any.
        name: the file's name, for messages.

    Raises:
        DataError: there are names.
    """
    if header is not None:
        raise DataError(
            f"data.header names the columns {', '.join(header)[:120]}, but {name} is no CSV file, Excel file or array.",
            "Remove data.header.",
        )


def _decode(content: bytes, name: str, encoding: str | None, collect: bool) -> tuple[str, list[str], DataError | None]:
    """Return the text, notes, and the error of bytes that could not be decoded and are marked in the text."""
    try:
        return *decode(content, name, encoding), None
    except DataError as error:
        cause = error.__cause__
        if not collect or not isinstance(cause, UnicodeDecodeError) or b"\0" in content:
            raise
        try:  # the cause names a codec, which is "charmap" for every encoding of one byte per character
            text = content.decode(encoding or cause.encoding, "surrogateescape")
        except UnicodeError:  # bytes below 0x80 cannot be marked
            raise error from cause
        return text.removeprefix("\ufeff"), [], error


def _without_undecodable(table: Table, error: DataError) -> Table:
    """Return the table without the rows that have marked bytes; raise ``error`` if a column's name has some."""
    if any(map(_MARKED.search, table.columns)):
        raise error
    marked = [
        i
        for i in range(len(table))
        if any(_MARKED.search(str(values[i])) for values in table.columns.values() if values[i] is not None)
    ]
    if 2 * len(marked) > len(table):
        raise error
    reason = "some bytes are not text in the encoding of the file"
    bad = [
        BadRow(table.rows[i], reason, error.message if n == 0 else f"{table.where(i)}: {reason}.", error.hint)
        for n, i in enumerate(marked)
    ]
    removed = set(marked)
    good = table.take(i for i in range(len(table)) if i not in removed)
    return replace(good, bad_rows=[*table.bad_rows, *bad])
