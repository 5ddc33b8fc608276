"""The texts of a corpus, one after another: for what reads it once, from front to end, and keeps none (a tokenizer).

A text file is read line by line, CSV row by row, JSONL object by object, Parquet 1,024 rows at a time: what is held is
the row at hand. Held whole are only what cannot be read in part: one JSON array, a file of the catalogue in a format of
its own, a text in no Unicode encoding (all of it says which), and a document while it is the one at hand.

All of ``data.train`` is read. What has to know every row first, a part held out or drawn (``data.holdout``,
``data.limit``), is :func:`workbench.data.load.load_texts`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.data import load
from workbench.data.catalogue.entries import DatasetEntry, ReadOptions, catalogue, dataset
from workbench.data.catalogue.hub_rows import is_reference
from workbench.data.catalogue.sources import fetch_splits
from workbench.data.columns import map_columns, require_column
from workbench.data.progress import Progress
from workbench.data.readers.csv_reader import stream_delimited
from workbench.data.readers.documents import DocumentSplitting, split_documents, text_files
from workbench.data.readers.encoding import decode, encoding_of
from workbench.data.readers.file_types import JSON, MARKDOWN, PARQUET, TEXTS, check_file
from workbench.data.readers.formats import format_for, read_format
from workbench.data.readers.json_reader import read_json, stream_json_lines
from workbench.data.readers.parquet_reader import stream_parquet
from workbench.data.readers.table import Table
from workbench.data.values import as_text
from workbench.errors import DataError
from workbench.spec import DataSpec
from workbench.workspace import Workspace

NON_TEXT_ROLES = frozenset(
    {"label", "tags", "answers", "user", "time"}
)  # roles: classes, numbers, spans of another role
_WORDS = "words"  # the role whose list is one text

Row = tuple[int, Sequence[Any]]  # where it stands, and its values


@dataclass
class RowStream:
    """Rows on their way.

    Attributes:
        name: for messages.
        columns: their names.
        rows: gives the rows from the first on, with the values of the columns that are named.
        unit: what a row's number counts.
        notes: what was found out on opening it.
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
    """Every text of ``data.train``, and notes on how it is read.

    Of a data set of the catalogue these are the texts of all its roles (question and context, both languages of a
    translation), of any other file those of the columns that ``data.columns`` names, or of the one that is the text by
    its name. A list of words is one text, any other list one for each item.

    Raises:
        DataError: it cannot be used; of a row far behind, only once the texts are read up to there.
        FetchError: it could not be fetched.

    Returns:
        the texts, to be read once; and the notes, to which reading them may add.
    """
    entry = dataset(spec.train) if spec.train in catalogue().datasets else None
    source = _open_entry(spec, entry, workspace, progress) if entry else _open_own(spec, workspace, progress)
    wanted, told = _text_columns(source, spec, entry)
    source.notes += told
    return _texts(source, wanted, entry.keep if entry else {}), source.notes


def _text_columns(source: RowStream, spec: DataSpec, entry: DatasetEntry | None) -> tuple[dict[str, str], list[str]]:
    """The columns that hold text, by role."""
    given = spec.columns or (entry.columns if entry else {})
    table = Table(source.name, {name: [] for name in source.columns}, [], unusable=source.unusable)
    if given:
        named = {role: name for role, name in given.items() if role not in NON_TEXT_ROLES}
        return {role: require_column(table, name, f"columns.{role}") for role, name in named.items()}, []
    return map_columns(table, (load.TEXT,), {})


def _texts(source: RowStream, wanted: Mapping[str, str], keep: Mapping[str, Sequence[str]]) -> Iterator[str]:
    kept = {name: values for name, values in keep.items() if name in source.columns}
    for number, values in source.rows([*wanted.values(), *kept]):
        if any(value not in allowed for value, allowed in zip(values[len(wanted) :], kept.values(), strict=True)):
            continue
        for role, value in zip(wanted, values, strict=False):
            try:
                yield from _texts_in(role, value)
            except ValueError as error:
                where = f"{source.name}, {source.unit} {number}"
                raise DataError(f"{where}: column {wanted[role]!r} {error}.", "Mend that row.") from error


def _texts_in(role: str, value: Any) -> Iterator[str]:
    if not isinstance(value, list | tuple):
        yield as_text(value)
    elif role == _WORDS:
        yield join_words([as_text(word) for word in value])
    else:
        yield from map(as_text, value)


def join_words(words: Sequence[str]) -> str:
    """Words as a text: a space between two, but none before a Chinese character."""
    from workbench.data.text.tokenizers import is_cjk

    return "".join(word if place == 0 or is_cjk(word[:1] or " ") else f" {word}" for place, word in enumerate(words))


# -- opening ----------------------------------------------------------------------------------------------------------


def _open_entry(spec: DataSpec, entry: DatasetEntry, workspace: Workspace, progress: Progress | None) -> RowStream:
    paths = fetch_splits(spec.train, workspace, progress)["train"]
    options = entry.read_options
    if options.format is not None:
        return _of_table(read_format(options.format, paths, spec.train, "train", spec.encoding or options.encoding))
    documents = options.documents if spec.documents == "auto" else spec.documents
    if documents is not None and options.documents is not None:
        return _of_documents([paths[0]], spec.train, documents, spec.encoding or options.encoding)
    return _of_file(paths[0], options, spec)


def _open_own(spec: DataSpec, workspace: Workspace, progress: Progress | None) -> RowStream:
    if is_reference(spec.train):
        path, about, note = load.fetch_hub_file("train", spec.train, spec, workspace, progress)
        found = _of_file(path, ReadOptions(), spec)
        found.name, found.notes = about["repository"], [*found.notes, note]
        return found
    path = Path(spec.train).expanduser()
    suffix = path.suffix.lower()
    if path.is_dir():
        how: DocumentSplitting = "file" if spec.documents == "auto" else spec.documents
        return _of_documents(text_files(path), path.name, how, spec.encoding)
    load.check_name(path)
    check_file(path, suffix)
    known_format = format_for(path)
    if known_format is not None:
        return _of_table(read_format(known_format, [path], path.name, "train", spec.encoding))
    if suffix in TEXTS or suffix in MARKDOWN:
        return _of_documents([path], path.name, spec.documents, spec.encoding)
    return _of_file(path, ReadOptions(), spec)


def _of_file(path: Path, options: ReadOptions, spec: DataSpec) -> RowStream:
    """A table: CSV and its relatives, JSON or Parquet."""
    suffix = path.suffix.lower()
    if suffix in PARQUET:
        columns, unusable, rows = stream_parquet(path)
        return RowStream(path.name, columns, rows, "row", [], unusable)
    lines, notes = open_text(path, spec.encoding or options.encoding)
    if suffix not in JSON:
        options = options.model_copy(update={"delimiter": spec.delimiter or options.delimiter})
        header, fields, told = stream_delimited(lambda: lines(""), path.name, options)
        return RowStream(path.name, header, fields, "line", [*notes, *told])
    if _begins_array(lines):
        return _of_table(read_json("".join(lines("\n")), path.name))
    keys, objects = stream_json_lines(lambda: lines("\n"), path.name)
    return RowStream(path.name, keys, objects, "line", notes)


def _begins_array(lines: Callable[[str | None], Iterator[str]]) -> bool:
    return next((line.lstrip()[0] == "[" for line in lines("\n") if line.strip()), False)


def _of_table(table: Table) -> RowStream:
    """What had to be read whole."""

    def rows(names: Sequence[str]) -> Iterator[Row]:
        return zip(table.rows, zip(*(table.columns[name] for name in names), strict=True), strict=True)

    return RowStream(table.name, list(table.columns), rows, table.unit, table.notes, table.unusable)


def _of_documents(paths: Sequence[Path], name: str, how: DocumentSplitting, encoding: str | None) -> RowStream:
    """Text files, cut into documents."""
    notes: list[str] = []

    def rows(names: Sequence[str]) -> Iterator[Row]:
        for path in paths:
            if not path.stat().st_size and len(paths) > 1:
                continue
            lines, told = open_text(path, encoding)
            notes.extend(told)
            way = how if how != "auto" else "paragraph" if _has_paragraphs(lines(None)) else "line"
            for number, text in split_documents((line.rstrip("\n") for line in lines(None)), way):
                yield number, [text] * len(names)

    return RowStream(name, ["text"], rows, notes=notes)


def _has_paragraphs(lines: Iterator[str]) -> bool:
    """Whether an empty line stands between two that are not."""
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


def open_text(path: Path, encoding: str | None) -> tuple[Callable[[str | None], Iterator[str]], list[str]]:
    """What gives a file's lines, as often as it is called, and notes on its encoding.

    The function takes ``newline`` as :func:`open` does. The encoding is found as
    :func:`workbench.data.readers.encoding.decode`
    finds it; a file that is not Unicode is held whole, since all of it tells the encoding.

    Raises:
        DataError: the file is in no encoding known, or holds no text.
    """
    check_file(path, path.suffix.lower())
    found = encoding_of(path, encoding)
    if found is None:
        text, notes = decode(path.read_bytes(), path.name)
        return (lambda newline: iter(io.StringIO(text, newline=newline))), notes
    if not any(line.strip() for line in _lines(path, found, None)):
        raise DataError(f"{path.name} is empty: it holds nothing but spaces.", "Give a file with text in it.")
    return (lambda newline: _lines(path, found, newline)), []


def _lines(path: Path, encoding: str, newline: str | None) -> Iterator[str]:
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
                f"{path.name} behind line {number}: what stands there is not {encoding} text.",
                "Give the file's encoding as data.encoding (for example gb18030 or cp1252), or save it as UTF-8.",
            ) from error
