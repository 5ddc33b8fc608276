"""Stream the texts of a corpus, for what reads it once and keeps none of it (a tokenizer).

A text file is read line by line, CSV row by row, JSONL object by object, Parquet 1,024 rows at a time: only the current
row is in memory. Read whole are only what cannot be read in chunks: one JSON array, a catalogue file in its own format,
a text in an encoding other than Unicode (which is detected from all of it), and the current document.

All of ``data.train`` is read. Held-out splits and samples (``data.holdout``, ``data.limit``) need to know every row
first: :func:`workbench.data.load.load_texts`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from workbench.data.catalogue.entries import DatasetEntry
from workbench.data.catalogue.naming import find_entry, source_kind
from workbench.data.catalogue.sources import fetch_splits
from workbench.data.cells.values import as_text
from workbench.data.columns import map_columns, require_column
from workbench.data.load import TEXT
from workbench.data.progress import Progress
from workbench.data.readers.csv_reader import stream_delimited
from workbench.data.readers.documents import split_documents, text_files
from workbench.data.readers.encodings.encoding import decode, encoding_of
from workbench.data.readers.file_types import ARCHIVES, EXCEL, JSON, MARKDOWN, PARQUET, TEXTS, check_file
from workbench.data.readers.formats import format_for, read_format
from workbench.data.readers.json_reader import is_one_object_per_line, read_json, stream_json_lines
from workbench.data.readers.options import DocumentSplitting, ReadOptions
from workbench.data.readers.parquet_reader import stream_parquet
from workbench.data.readers.table import Table
from workbench.data.tables import check_name, fetch_hub_file, read_user_file
from workbench.data.text.characters import join_words
from workbench.errors import DataError
from workbench.spec import DataSpec
from workbench.types import Json
from workbench.workspace import Workspace

# Roles that hold classes, numbers, or spans of another role.
NON_TEXT_ROLES = frozenset({"label", "tags", "answers", "user", "time"})
_WORDS = "words"  # the role whose list is one text

Row: TypeAlias = tuple[int, Sequence[Any]]  # its number in the file, and its values
OpenText: TypeAlias = Callable[[str | None], Iterator[str]]  # opens a file's lines; takes ``newline`` as open() does


@dataclass
class RowStream:
    """The rows of a file, one at a time.

    Attributes:
        name: for messages.
        columns: their names.
        rows: yields the rows from the first on, with the values of the columns it is called with.
        unit: what a row's number counts.
        notes: what was detected when the file was opened.
        unusable: columns that cannot be used, with the reason.
    """

    name: str
    columns: list[str]
    rows: Callable[[Sequence[str]], Iterator[Row]]
    unit: str = "line"
    notes: list[str] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)


def stream_texts(
    spec: DataSpec, workspace: Workspace, progress: Progress | None = None
) -> tuple[Iterator[str], list[str]]:
    """Stream every text of ``data.train``.

    For a data set of the catalogue these are the texts of all its roles (question and context, both languages of a
    translation); for any other file those of the columns in ``data.columns``, or of the column that is the text by its
    name. A list of words is one text; any other list has one text per item.

    Args:
        spec: the data section of a spec.
        workspace: whose cache is used.
        progress: called during downloads.

    Returns:
        The texts, to be read once, and notes; reading may append to the notes.

    Raises:
        DataError: the data cannot be used. Later rows are checked when they are read.
        FetchError: the data could not be fetched.
    """
    entry = find_entry(spec.train)
    stream = _open_entry(spec, entry, workspace, progress) if entry else _open_own(spec, workspace, progress)
    columns, notes = _text_columns(stream, spec, entry)
    stream.notes += notes
    return _read_texts(stream, columns, entry.keep if entry else {}), stream.notes


def _text_columns(stream: RowStream, spec: DataSpec, entry: DatasetEntry | None) -> tuple[dict[str, str], list[str]]:
    """Return the columns that hold text, by role, and notes."""
    named = spec.columns or (entry.columns if entry else {})
    table = Table(stream.name, {name: [] for name in stream.columns}, [], unusable=stream.unusable)
    if not named:
        return map_columns(table, (TEXT,), {})
    texts = {role: name for role, name in named.items() if role not in NON_TEXT_ROLES and isinstance(name, str)}
    return {role: require_column(table, name, f"columns.{role}") for role, name in texts.items()}, []


def _read_texts(stream: RowStream, columns: Mapping[str, str], keep: Mapping[str, Sequence[str]]) -> Iterator[str]:
    filters = {name: values for name, values in keep.items() if name in stream.columns}
    for number, values in stream.rows([*columns.values(), *filters]):
        if any(value not in allowed for value, allowed in zip(values[len(columns) :], filters.values(), strict=True)):
            continue
        for role, value in zip(columns, values, strict=False):
            try:
                yield from _texts_in(role, value)
            except ValueError as error:
                where = f"{stream.name}, {stream.unit} {number}"
                raise DataError(f"{where}: column {columns[role]!r} {error}.", "Correct that row.") from error


def _texts_in(role: str, value: Json) -> Iterator[str]:
    if not isinstance(value, list | tuple):
        yield as_text(value)
    elif role == _WORDS:
        yield join_words([as_text(word) for word in value])
    else:
        yield from map(as_text, value)


# -- opening ----------------------------------------------------------------------------------------------------------


def _open_entry(spec: DataSpec, entry: DatasetEntry, workspace: Workspace, progress: Progress | None) -> RowStream:
    paths = fetch_splits(spec.train, workspace, progress)["train"]
    options = entry.read_options
    encoding = spec.encoding or options.encoding
    if options.format is not None:
        return _stream_table(read_format(options.format, paths, spec.train, "train", encoding))
    splitting = options.documents if spec.documents == "auto" else spec.documents
    if splitting is not None and options.documents is not None:
        return _stream_documents([paths[0]], spec.train, splitting, encoding)
    return _stream_file(paths[0], options, spec)


def _open_own(spec: DataSpec, workspace: Workspace, progress: Progress | None) -> RowStream:
    if source_kind(spec.train) == "hub":
        path, sample, note = fetch_hub_file("train", spec.train, spec, workspace, progress)
        stream = _stream_file(path, ReadOptions(), spec)
        stream.name, stream.notes = sample["repository"], [*stream.notes, note]
        return stream
    path = Path(spec.train).expanduser()
    suffix = path.suffix.lower()
    if path.is_dir():
        splitting: DocumentSplitting = "file" if spec.documents == "auto" else spec.documents
        return _stream_documents(text_files(path), path.name, splitting, spec.encoding)
    check_name(path)
    if suffix in ARCHIVES or suffix in EXCEL:
        return _stream_table(read_user_file(path, spec, (TEXT,)))
    check_file(path, suffix)
    format_name = format_for(path) if suffix not in TEXTS else None
    if format_name is not None:
        return _stream_table(read_format(format_name, [path], path.name, "train", spec.encoding))
    if suffix in TEXTS or suffix in MARKDOWN:
        return _stream_documents([path], path.name, spec.documents, spec.encoding)
    header = tuple(spec.header) if spec.header is not None else None
    return _stream_file(path, ReadOptions(header=header), spec)


def _stream_file(path: Path, options: ReadOptions, spec: DataSpec) -> RowStream:
    """Stream a table: CSV and its relatives, JSON or Parquet."""
    suffix = path.suffix.lower()
    if suffix in PARQUET:
        columns, unusable, rows = stream_parquet(path)
        return RowStream(path.name, columns, rows, "row", [], unusable)
    lines, notes = open_text(path, spec.encoding or options.encoding)
    if suffix not in JSON:
        options = options.model_copy(update={"delimiter": spec.delimiter or options.delimiter})
        header, fields, csv_notes = stream_delimited(lambda: lines(""), path.name, options)
        return RowStream(path.name, header, fields, "line", [*notes, *csv_notes])
    if not is_one_object_per_line(lines("\n")):
        return _stream_table(read_json("".join(lines("\n")), path.name, header=options.header))
    keys, objects = stream_json_lines(lambda: lines("\n"), path.name)
    return RowStream(path.name, keys, objects, "line", notes)


def _stream_table(table: Table) -> RowStream:
    """Stream a table that had to be read whole."""

    def rows(names: Sequence[str]) -> Iterator[Row]:
        return zip(table.rows, zip(*(table.columns[name] for name in names), strict=True), strict=True)

    return RowStream(table.name, list(table.columns), rows, table.unit, table.notes, table.unusable)


def _stream_documents(
    paths: Sequence[Path], name: str, splitting: DocumentSplitting, encoding: str | None
) -> RowStream:
    """Stream the documents of text files."""
    notes: list[str] = []

    def rows(names: Sequence[str]) -> Iterator[Row]:
        for path in paths:
            if not path.stat().st_size and len(paths) > 1:
                continue
            lines, encoding_notes = open_text(path, encoding)
            notes.extend(encoding_notes)
            used = splitting
            if used == "auto":
                used = "paragraph" if _has_paragraphs(lines(None)) else "line"
            for number, text in split_documents((line.rstrip("\n") for line in lines(None)), used):
                yield number, [text] * len(names)

    return RowStream(name, ["text"], rows, notes=notes)


def _has_paragraphs(lines: Iterator[str]) -> bool:
    """Return whether there is an empty line between two that are not."""
    text = gap = False
    for line in lines:
        if line.strip():
            if gap:
                return True
            text = True
        else:
            gap = text
    return False


# -- lines of a file --------------------------------------------------------------------------------------------------


def open_text(path: Path, encoding: str | None) -> tuple[OpenText, list[str]]:
    """Open a text file to read its lines, as often as needed.

    The encoding is detected as by :func:`workbench.data.readers.encodings.encoding.decode`; a file that is not Unicode
    is read whole, since its encoding can only be guessed from all of it.

    Args:
        path: the file.
        encoding: its encoding; detected if None.

    Returns:
        A function that yields the file's lines and takes ``newline`` as :func:`open` does, and notes on the encoding.

    Raises:
        DataError: the file is in an unknown encoding, or contains no text.
    """
    check_file(path, path.suffix.lower())
    detected = encoding_of(path, encoding)
    if detected is None:
        text, notes = decode(path.read_bytes(), path.name)
        return (lambda newline: iter(io.StringIO(text, newline=newline))), notes
    if not any(line.strip() for line in _read_lines(path, detected, None)):
        raise DataError(f"{path.name} is empty: it contains only whitespace.", "Provide a file with text in it.")
    return (lambda newline: _read_lines(path, detected, newline)), []


def _read_lines(path: Path, encoding: str, newline: str | None) -> Iterator[str]:
    number = 0
    with open(path, encoding=encoding, newline=newline) as stream:
        try:
            for number, line in enumerate(stream, start=1):
                if "\0" in line:
                    raise DataError(
                        f"{path.name}, line {number}: there is a NUL character; the file is binary or damaged.",
                        "Save it as text again.",
                    )
                yield line
        except UnicodeError as error:
            raise DataError(
                f"{path.name}, after line {number}: not {encoding} text.",
                "Set the file's encoding as data.encoding (for example gb18030 or cp1252), or save it as UTF-8.",
            ) from error
