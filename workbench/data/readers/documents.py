"""Plain text split into documents: what a language model learns from, and what stays in one split.

=========  ============================================================================================================
splitting  a document is
=========  ============================================================================================================
file       a whole file
paragraph  text between empty lines
line       a line
passages   consecutive paragraphs of at least ``PASSAGE_LENGTH`` characters together (speeches of a play, say)
articles   what follows a title written `` = Title = ``, as in WikiText
auto       paragraphs if there are empty lines between texts, else lines; in a folder, files
=========  ============================================================================================================

Only empty lines are lost: joined in order, the documents are the text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from workbench.data.readers.encodings.encoding import decode
from workbench.data.readers.file_types import TEXTS, check_file, read_bytes
from workbench.data.readers.limits import MAX_BYTES, check_lines
from workbench.data.readers.options import DocumentSplitting
from workbench.data.readers.table import Table
from workbench.errors import DataError

PASSAGE_LENGTH = 2000  # characters: about 500 tokens of English
MAX_FILES = 200_000

_TITLE = re.compile(r"^ = [^=].* = $")
_DESCRIPTIONS = {
    "file": "files", "paragraph": "separated by empty lines", "line": "one per line", "passages": "passages",
    "articles": "articles",
}  # fmt: skip

NumberedText: TypeAlias = tuple[int, str]  # the number of a document's first line, from 1, and its text


@dataclass
class _DocumentFile:
    """The documents of one file, notes on its encoding, how it was split, and its sha256."""

    documents: list[NumberedText]
    notes: list[str]
    splitting: DocumentSplitting
    sha256: str


def split_documents(lines: Iterable[str], splitting: DocumentSplitting) -> Iterator[NumberedText]:
    """Split lines into documents, one after another.

    Args:
        lines: a text's lines without their ends; read once.
        splitting: anything but ``auto``, which needs the whole text.

    Yields:
        The number of each document's first line, from 1, and its text.
    """
    if splitting == "line":
        return ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    if splitting == "file":
        return _split_blocks(lines, lambda line, before: False)
    if splitting == "articles":
        return _split_blocks(lines, lambda line, before: bool(_TITLE.match(line)) and not before.strip())
    paragraphs = _split_blocks(lines, lambda line, before: bool(line.strip()) and not before.strip())
    return _join_passages(paragraphs) if splitting == "passages" else paragraphs


def _split_blocks(lines: Iterable[str], begins: Callable[[str, str], bool]) -> Iterator[NumberedText]:
    """Yield blocks of lines without surrounding empty lines; ``begins(line, line before)`` says where one begins."""
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


def _join_passages(paragraphs: Iterable[NumberedText]) -> Iterator[NumberedText]:
    passage: list[str] = []
    first, size = 1, 0
    for number, text in paragraphs:
        first = first if passage else number
        passage.append(text)
        size += len(text)
        if size >= PASSAGE_LENGTH:
            yield first, "\n\n".join(passage)
            passage, size = [], 0
    if passage:
        yield first, "\n\n".join(passage)


def read_documents(path: Path, splitting: DocumentSplitting, encoding: str | None = None) -> Table:
    """Read the documents of a text file, or of every text file in a folder, as a table with one column ``text``.

    Args:
        path: a ``.txt`` or ``.md`` file, or a folder with such files, at any depth. The table of a folder also has a
            column ``file``.
        splitting: how a text is split into documents.
        encoding: the encoding of the files; detected if None.

    Raises:
        DataError: a file is missing, empty, binary, too large or in an unknown encoding; or the folder has no text
            file.
    """
    if path.is_dir():
        return _read_folder(path, splitting, encoding)
    check_file(path, path.suffix.lower())
    file = _read_file(path, path.name, splitting, encoding)
    notes = [*file.notes, f"{path.name}: {len(file.documents):,} documents, {_DESCRIPTIONS[file.splitting]}."]
    rows, texts = [row for row, _ in file.documents], [text for _, text in file.documents]
    return Table(path.name, {"text": texts}, rows, "line", notes, sha256=file.sha256)


def text_files(folder: Path) -> list[Path]:
    """Return the text files in a folder, at any depth.

    Args:
        folder: the folder.

    Raises:
        DataError: there are none, or too many or too large ones.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in TEXTS and path.is_file())
    if not paths:
        raise DataError(
            f"There is no text file in {folder}.", f"Add files with the suffix {' or '.join(TEXTS)} to the folder."
        )
    size = sum(path.stat().st_size for path in paths)
    if len(paths) > MAX_FILES or size > MAX_BYTES:
        raise DataError(
            f"{folder} has {len(paths):,} text files of {size / 1024**3:.1f} GiB; the maximum is {MAX_FILES:,} files "
            f"of {MAX_BYTES // 1024**3} GiB.",
            "Use fewer files.",
        )
    return paths


def _read_file(path: Path, name: str, splitting: DocumentSplitting, encoding: str | None) -> _DocumentFile:
    content = read_bytes(path, name)
    text, notes = decode(content, name, encoding)
    check_lines(name, text)
    lines = re.split(r"\r\n|\r|\n", text)
    used: DocumentSplitting = "paragraph" if splitting == "auto" else splitting
    documents = list(split_documents(lines, used))
    if splitting == "auto" and len(documents) == 1:
        used = "line"
        documents = list(split_documents(lines, used))
    return _DocumentFile(documents, notes, used, hashlib.sha256(content).hexdigest())


def _read_folder(folder: Path, splitting: DocumentSplitting, encoding: str | None) -> Table:
    used: DocumentSplitting = "file" if splitting == "auto" else splitting
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
        file = _read_file(path, name, used, encoding)
        texts += [text for _, text in file.documents]
        names += [name] * len(file.documents)
        notes += file.notes
        digest.update(f"{name}\0{file.sha256}\0".encode())
    read = len(paths) - empty
    notes.append(f"{folder.name}: {len(texts):,} documents from {read:,} text files, {_DESCRIPTIONS[used]}.")
    if empty:
        notes.append(f"{folder.name}: skipped {empty:,} empty files.")
    rows = list(range(1, len(texts) + 1))
    return Table(folder.name, {"text": texts, "file": names}, rows, "document", notes, sha256=digest.hexdigest())
