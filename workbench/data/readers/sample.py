"""A few texts of a file, read quickly from several places in it: enough to detect its language before it is loaded."""

from __future__ import annotations

import contextlib
import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from workbench.data.readers.archives import unpacked
from workbench.data.readers.encodings.encoding import decode
from workbench.data.readers.excel_reader import read_excel
from workbench.data.readers.file_types import CONLL, DELIMITED, EXCEL, JSON, PARQUET, SUFFIXES
from workbench.data.readers.parquet_reader import column_names, first_batch
from workbench.errors import MissingPackageError, WorkbenchError

Columns: TypeAlias = Sequence[Sequence[str]]

_CHUNK = 1 << 15  # bytes
_CHUNKS = 8
_ROWS = 500  # of a Parquet or Excel file
_MAX_EXCEL = 10_000_000  # bytes; all texts of a workbook are read before its first row
_FILES = 50  # of a folder
# A string of JSON; with a colon, it is a key. One that does not end reaches to the end of the text: without that, the
# search would begin again at each quotation mark in it, in quadratic time.
_STRING = re.compile(r'"((?:[^"\\]|\\(?:.|\Z))*)(?:(")(\s*:)?|\Z)', re.DOTALL)
_KEY_END = re.compile(r'(?<!\\)"\s*:')  # before the first of them, a chunk may begin inside a string
_MARKED = (b"\xff\xfe", b"\xfe\xff")  # UTF-16, which cannot be cut at any line break


def sample_texts(path: Path, columns: Columns = (), encoding: str | None = None, sheet: str | None = None) -> list[str]:
    """Return texts of a file without reading all of it. What cannot be read yields none: loading it reports why.

    Args:
        path: a table, a text, one of them in a ``.gz`` or ``.zip`` file, or a folder of texts.
        columns: for each column to read, the names that it may have, in any case; the first that the file has counts.
            All columns are read if the file has none of them.
        encoding: the text's encoding; detected if None.
        sheet: of an Excel file; the first one if None.
    """
    try:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in SUFFIXES)
            spread = files[:: len(files) // _FILES + 1]  # of every subfolder
            return [text for file in spread for text in _sample_file(file, (), encoding, sheet, 1)]
        stat = path.stat()
        names = tuple(tuple(name.casefold() for name in alternatives) for alternatives in columns)
        return list(_cached(path, names, encoding, sheet, stat.st_mtime_ns, stat.st_size))
    except (OSError, ValueError, LookupError, RecursionError, WorkbenchError, csv.Error):  # an unknown encoding, too
        return []


@lru_cache(maxsize=32)
def _cached(
    path: Path,
    columns: tuple[tuple[str, ...], ...],
    encoding: str | None,
    sheet: str | None,
    changed: int,
    size: int,
) -> tuple[str, ...]:
    with unpacked(path, head=_CHUNK * _CHUNKS) as file:
        return tuple(_sample_file(file, columns, encoding, sheet, _CHUNKS))


def _sample_file(path: Path, columns: Columns, encoding: str | None, sheet: str | None, chunks: int) -> list[str]:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        return []
    if suffix in EXCEL:
        return _sample_excel(path, columns, sheet)
    if suffix in PARQUET:
        return _sample_parquet(path, columns)
    lines = _sample_lines(path, encoding, chunks)
    if suffix in JSON:
        return [text for line in lines for text in _json_texts(line, columns)]
    if suffix in CONLL:
        words = [line.split()[0] if line.strip() else "\n" for line in lines]
        return [sentence.strip() for sentence in " ".join(words).splitlines() if sentence.strip()]
    return _csv_texts(lines, columns) if suffix in DELIMITED and suffix != ".txt" else lines


def _sample_lines(path: Path, encoding: str | None, chunks: int) -> list[str]:
    """Return whole lines from several places; the first line is the file's first."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        if size <= _CHUNK * chunks:
            content = file.read()
        else:
            head = file.read(_CHUNK)
            if head.startswith(_MARKED):
                content = head + file.read(_CHUNK * (chunks - 1))
            else:
                content = _whole_lines(head, first=True)
                for number in range(1, chunks):
                    file.seek(size * number // chunks)
                    content += _whole_lines(file.read(_CHUNK), first=False)
    if content.startswith(_MARKED):
        return content.decode("utf-16", errors="ignore").splitlines()
    if encoding is None:
        try:
            return decode(content, path.name)[0].splitlines()
        except WorkbenchError:
            return content.decode("utf-8", errors="ignore").splitlines()  # a chunk in one line is cut in a character
    return content.decode(encoding, errors="ignore").splitlines()


def _whole_lines(chunk: bytes, first: bool) -> bytes:
    """Return a chunk without the parts of lines at its ends; all of it if it is one line."""
    begin = 0 if first else chunk.find(b"\n") + 1
    end = chunk.rfind(b"\n") + 1
    return chunk[begin:end] if end > begin else chunk + b"\n"


def _json_texts(line: str, columns: Columns) -> Iterator[str]:
    try:
        row = json.loads(line)
    except ValueError:  # a line of a longer document
        key = _KEY_END.search(line)
        for match in _STRING.finditer(line, key.end() if key else 0):
            with contextlib.suppress(ValueError):
                yield from [json.loads(f'"{match[1]}"')] if match[2] and not match[3] else []
        return
    if isinstance(row, Mapping):
        row = [row[name] for name in _choose(list(row), columns)]
    yield from _strings(row)


def _choose(names: Sequence[str], columns: Columns) -> list[str]:
    """Return the names of the columns to read."""
    known = {name.casefold(): name for name in reversed(names)}
    chosen = (next((known[name] for name in names if name in known), None) for names in columns)
    return list(dict.fromkeys(name for name in chosen if name is not None)) or list(names)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _strings(list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _csv_texts(lines: list[str], columns: Columns) -> list[str]:
    header = lines[0] if lines else ""
    delimiter = max("\t;,|", key=header.count)
    rows = list(csv.reader(lines, delimiter=delimiter))
    names = [name.strip() for name in rows[0]] if rows else []
    chosen = [names.index(name) for name in _choose(names, columns)]
    return [row[i] for row in rows[1:] for i in chosen if i < len(row)]


def _sample_parquet(path: Path, columns: Columns) -> list[str]:
    try:
        batch = first_batch(path, _ROWS, _choose(column_names(path), columns))
    except MissingPackageError:
        return []
    return list(_strings([column.to_pylist() for column in batch.columns])) if batch is not None else []


def _sample_excel(path: Path, columns: Columns, sheet: str | None) -> list[str]:
    if path.stat().st_size > _MAX_EXCEL:
        return []
    table = read_excel(path, sheet, _ROWS).columns
    return list(_strings([table[name] for name in _choose(list(table), columns)]))
