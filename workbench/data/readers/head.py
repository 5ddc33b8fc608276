"""The first rows of a large file, as a small file of the same name."""

from __future__ import annotations

import codecs
import mmap
import re
from pathlib import Path

from workbench.data.readers.archives import unpacked
from workbench.data.readers.excel_reader import copy_rows
from workbench.data.readers.file_types import ARCHIVES, CONLL, DELIMITED, EXCEL, MARKDOWN, PARQUET, TEXTS
from workbench.data.readers.parquet_reader import first_batch
from workbench.errors import DataError, MissingPackageError

_LINES = (*DELIMITED, ".jsonl", ".ndjson", *MARKDOWN, *CONLL)  # a row ends with a line, but for quoted line breaks
_TMX = (".tmx",)
_ROWS = 1000  # of a Parquet file, a sheet, or JSON by columns
_MAX_EXCEL = 20_000_000  # bytes; all texts of a workbook are read before its first row
_MAX_COLUMNS_JSON = 50_000_000  # bytes; each column begins behind the whole column before it
_QUOTED = (".csv", ".tsv", ".tab")
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_MAX_FILES = 200  # of a folder
_JSON_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}"]', re.DOTALL)
_COLUMN_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)
_CLOSING = {b"[": b"]", b"{": b"}"}


def copy_head(path: Path, folder: Path, size: int) -> Path | None:
    """Copy the first rows of a file, which keep their numbers, or some of the texts of a folder.

    Args:
        path: a table, a text, one of them in an archive, or a folder of texts.
        folder: where the copy is written; it is created.
        size: bytes to read at most.

    Returns:
        The copy; None if a file of this type cannot be cut, or if its first row is longer than ``size``.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        return _copy_folder(path, folder / path.name, size)
    if suffix in ARCHIVES:
        try:
            with unpacked(path, head=size) as file:
                return copy_head(file, folder, size)
        except DataError:  # reading the file says why
            return None
    copy = folder / path.name
    if suffix in PARQUET:
        folder.mkdir(parents=True, exist_ok=True)
        return copy if _copy_parquet(path, copy) else None
    if suffix in EXCEL:
        folder.mkdir(parents=True, exist_ok=True)
        return copy if _copy_excel(path, copy) else None
    if suffix not in (*_LINES, *_TMX, ".json"):
        return None
    with open(path, "rb") as file:
        content = file.read(size)
    content = _cut(content, suffix)
    if not content and suffix == ".json":
        content = _whole_columns(path)
    if not content:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(content)
    return copy


def _cut(content: bytes, suffix: str) -> bytes:
    """Return the complete rows at the beginning of a file; nothing if there is none."""
    encoding = _UTF16.get(content[:2])
    if encoding is not None:  # a line break has two bytes
        text = content[2 : len(content) // 2 * 2].decode(encoding, errors="ignore")
        rows = _cut(text.encode("utf-8", errors="ignore"), suffix)
        return content[:2] + rows.decode("utf-8").encode(encoding) if rows else b""
    if suffix in _TMX:
        end = content.rfind(b"</tu>") + len(b"</tu>")
        return content[:end] + b"</body></tmx>" if end >= len(b"</tu>") else b""
    return _whole_items(content) if suffix == ".json" else _whole_rows(content, suffix)


def _whole_items(content: bytes) -> bytes:
    """Return the beginning of a JSON document with the complete items of its outermost list, and its brackets closed.

    Of objects one after another, those that are complete.
    """
    open_brackets: list[bytes] = []
    best: tuple[int, int, tuple[bytes, ...]] | None = None  # depth, end of an item, brackets that are open there
    for match in _JSON_TOKEN.finditer(content):
        sign = match.group()
        if sign == b'"':  # a text that is cut
            break
        if sign in (b"[", b"{"):
            open_brackets.append(sign)
        elif sign in (b"]", b"}"):
            if not open_brackets or _CLOSING[open_brackets.pop()] != sign:
                return b""
            depth = len(open_brackets)
            # A list in an object may be a column; only objects in it are surely rows.
            is_item = not depth or (open_brackets[-1] == b"[" and (sign == b"}" or depth == 1))
            if is_item and (best is None or depth <= best[0]):
                best = (depth, match.end(), tuple(open_brackets))
    if best is None:
        return b""
    _, end, brackets = best
    return content[:end] + b"".join(_CLOSING[bracket] for bracket in reversed(brackets))


def _whole_columns(path: Path) -> bytes:
    """Return a JSON document by columns with the first values of each column; nothing for any other document.

    The whole file is searched for the ends of its columns, and only what is returned is copied.
    """
    if not 0 < path.stat().st_size <= _MAX_COLUMNS_JSON:
        return b""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        parts: list[bytes] = []
        depth = begin = values = 0
        copying = True
        for match in _COLUMN_TOKEN.finditer(content):
            sign = match.group()
            if sign in (b"[", b"{"):
                depth += 1
                values = 0 if depth == 2 else values
                if depth == 1 and sign == b"[":
                    return b""
            elif sign in (b"]", b"}"):
                depth -= 1
                if depth == 1 and not copying:
                    begin, copying = match.start(), True
            elif sign == b"," and depth == 2:
                values += 1
                if values == _ROWS:
                    parts.append(content[begin : match.start()])
                    copying = False
        if depth or not copying:
            return b""
        return b"".join([*parts, content[begin:]]) if parts else b""


def _copy_excel(path: Path, copy: Path) -> bool:
    """Copy the first rows of a workbook; what cannot be read is left to the reader, which says why."""
    if path.stat().st_size > _MAX_EXCEL:
        return False
    try:
        copy_rows(path, copy, _ROWS)
    except (DataError, MissingPackageError):
        return False
    return True


def _copy_folder(source: Path, target: Path, size: int) -> Path | None:
    """Copy texts of each subfolder in turn, up to a size in all."""
    groups: dict[str, list[Path]] = {}
    for file in sorted(source.rglob("*")):
        if file.is_file() and file.suffix.lower() in TEXTS and file.stat().st_size:
            groups.setdefault(file.relative_to(source).parts[0], []).append(file)
    rounds = [file for row in range(_MAX_FILES) for files in groups.values() for file in files[row : row + 1]]
    copied = False
    for file in rounds[:_MAX_FILES]:
        if size <= 0:
            break
        with open(file, "rb") as stream:
            content = stream.read(size)
        whole = len(content) == file.stat().st_size
        content = content if whole else _cut(content, ".txt")
        size -= len(content)
        if content:
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)
            copied = True
    return target if copied else None


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
