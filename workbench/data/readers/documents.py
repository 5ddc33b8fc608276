"""Plain text cut into documents: what a language model learns from, and what a split keeps on one side.

=========  ============================================================================================================
how        a document is
=========  ============================================================================================================
file       a whole file
paragraph  what stands between empty lines
line       a line
passages   paragraphs in a row, together ``PASSAGE`` characters or a little more (speeches of a play, say)
articles   what follows a title written `` = Title = ``, as in WikiText
auto       paragraphs where there are empty lines between texts, else lines; in a folder, files
=========  ============================================================================================================

Nothing is lost but empty lines: joined in order, the documents are the text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from workbench.data.readers.encoding import decode
from workbench.data.readers.file_types import MAX_BYTES, TEXTS, check_file
from workbench.data.readers.table import Table
from workbench.errors import DataError

DocumentSplitting = Literal["auto", "file", "paragraph", "line", "passages", "articles"]

PASSAGE_LENGTH = 2000  # characters: about 500 tokens of English
MAX_FILES = 200_000

_TITLE = re.compile(r"^ = [^=].* = $")
_NOUN = {"file": "files", "paragraph": "parted by empty lines", "line": "one a line", "passages": "passages",
         "articles": "articles"}  # fmt: skip


def split_documents(lines: Iterable[str], how: DocumentSplitting) -> Iterator[tuple[int, str]]:
    """The documents in lines, one after another, each with the number of its first line (from 1).

    Args:
        lines: a text's lines without their ends; they are not kept.
        how: anything but ``auto``, for which the whole text must be known.
    """
    if how == "line":
        return ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    if how == "file":
        return _blocks(lines, lambda line, before: False)
    if how == "articles":
        return _blocks(lines, lambda line, before: bool(_TITLE.match(line)) and not before.strip())
    paragraphs = _blocks(lines, lambda line, before: bool(line.strip()) and not before.strip())
    return _passages(paragraphs) if how == "passages" else paragraphs


def _blocks(lines: Iterable[str], begins: Callable[[str, str], bool]) -> Iterator[tuple[int, str]]:
    """Lines from one that ``begins(line, line before)`` a document up to the next; empty ones around are left out."""
    block: list[str] = []
    first, before = 1, ""
    for number, line in enumerate(lines, start=1):
        if block and begins(line, before):
            yield first, "\n".join(block).rstrip()
            block = []
        if block or line.strip():
            first = first if block else number
            block.append(line)
        before = line
    if block:
        yield first, "\n".join(block).rstrip()


def _passages(paragraphs: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    held: list[str] = []
    first, size = 1, 0
    for number, text in paragraphs:
        first = first if held else number
        held.append(text)
        size += len(text)
        if size >= PASSAGE_LENGTH:
            yield first, "\n\n".join(held)
            held, size = [], 0
    if held:
        yield first, "\n\n".join(held)


def read_documents(path: Path, how: DocumentSplitting, encoding: str | None = None) -> Table:
    """The documents of a text file, or of every text file in a folder, as a table with one column ``text``.

    Args:
        path: a ``.txt`` or ``.md`` file, or a folder with such files in it, at any depth. A folder's table has a column
            ``file`` too.
        how: how they are cut.
        encoding: the files' encoding; found by itself if left out.

    Raises:
        DataError: a file is missing, empty, binary, too large or in no encoding known; there is none in the folder.
    """
    if path.is_dir():
        return _read_folder(path, how, encoding)
    check_file(path, path.suffix.lower())
    found, notes, digest = _read_file(path, path.name, how, encoding)
    rows, texts = [row for row, _ in found], [text for _, text in found]
    return Table(path.name, {"text": texts}, rows, "line", notes, sha256=digest)


def _read_file(
    path: Path, name: str, how: DocumentSplitting, encoding: str | None
) -> tuple[list[tuple[int, str]], list[str], str]:
    """A file's documents with their first lines, notes, and its sha256."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}.", "Check the file's permissions.") from error
    text, notes = decode(content, name, encoding)
    lines = re.split(r"\r\n|\r|\n", text)
    found = list(split_documents(lines, how if how != "auto" else "paragraph"))
    if how == "auto" and len(found) == 1:
        found, how = list(split_documents(lines, "line")), "line"
    told = f"{name}: read as text, {len(found):,} documents, {_NOUN['paragraph' if how == 'auto' else how]}."
    return found, [*notes, told], hashlib.sha256(content).hexdigest()


def text_files(folder: Path) -> list[Path]:
    """The text files in a folder, at any depth. Raises DataError where there is none, or where they are too many."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in TEXTS and path.is_file())
    if not paths:
        raise DataError(f"There is no text file in {folder}.", f"Put files that end in {' or '.join(TEXTS)} there.")
    size = sum(path.stat().st_size for path in paths)
    if len(paths) > MAX_FILES or size > MAX_BYTES:
        raise DataError(
            f"{folder} has {len(paths):,} text files of {size / 1024**3:.1f} GiB; at most {MAX_FILES:,} files of "
            f"{MAX_BYTES // 1024**3} GiB are read.",
            "Use a part of it.",
        )
    return paths


def _read_folder(folder: Path, how: DocumentSplitting, encoding: str | None) -> Table:
    how = "file" if how == "auto" else how
    paths = text_files(folder)
    texts: list[str] = []
    names: list[str] = []
    notes: list[str] = []
    digest = hashlib.sha256()
    empty = 0
    for path in paths:
        if not path.stat().st_size:
            empty += 1
            continue
        check_file(path, path.suffix.lower())
        name = path.relative_to(folder).as_posix()
        found, told, sha256 = _read_file(path, name, how, encoding)
        texts += [text for _, text in found]
        names += [name] * len(found)
        notes += told[:-1]
        digest.update(f"{name}\0{sha256}\0".encode())
    notes.append(f"{folder.name}: {len(texts):,} documents from {len(paths) - empty:,} text files, {_NOUN[how]}.")
    if empty:
        notes.append(f"{folder.name}: {empty:,} empty files were passed over.")
    rows = list(range(1, len(texts) + 1))
    return Table(folder.name, {"text": texts, "file": names}, rows, "document", notes, sha256=digest.hexdigest())
