"""A folder with one subfolder of texts for each class, as in ``pos/1.txt`` and ``neg/1.txt``."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from workbench.data.readers.documents import text_files
from workbench.data.readers.encodings.encoding import decode, detect_encoding, is_utf8
from workbench.data.readers.file_types import check_file, read_bytes
from workbench.data.readers.table import Table
from workbench.errors import DataError

_SPLITS = {"train": "train", "valid": "valid", "validation": "valid", "dev": "valid", "val": "valid", "test": "test"}


def read_class_folder(folder: Path, encoding: str | None = None) -> Table:
    """Read the texts of a folder's subfolders as a table with the columns ``text``, ``label`` and ``file``.

    Args:
        folder: its subfolders are the labels; each text file in them, at any depth, is a row.
        encoding: the encoding of the files; detected if None, the same for all that are not UTF-8.

    Raises:
        DataError: there are no such subfolders, they are splits, or a file cannot be read.
    """
    paths = [path for path in text_files(folder) if path.stat().st_size]
    inside = [path for path in paths if path.parent != folder]
    labels = [path.relative_to(folder).parts[0] for path in inside]
    splits = {label: _SPLITS[label.lower()] for label in labels if label.lower() in _SPLITS}
    if splits and set(labels) == set(splits):
        named = ", ".join(f"data.{split}: {folder.name}/{label}" for label, split in sorted(splits.items()))
        raise DataError(f"The subfolders of {folder.name} are splits, not labels.", f"Name each: {named}.")
    if not inside:
        raise DataError(
            f"{folder.name} has no subfolders with texts, so its texts have no labels.",
            "Put the texts of each label into a subfolder of its name, such as pos and neg, or use a table.",
        )
    contents: list[bytes] = []
    digest = hashlib.sha256()
    for path in inside:
        check_file(path, path.suffix.lower())
        content = read_bytes(path, path.relative_to(folder).as_posix())
        contents.append(content)
        digest.update(f"{path.relative_to(folder).as_posix()}\0{hashlib.sha256(content).hexdigest()}\0".encode())
    notes: list[str] = []
    others = [content for content in contents if not is_utf8(content)]
    shared = encoding
    if others and encoding is None:  # one text says little: all of them together are the evidence
        shared, notes = detect_encoding(b"\n".join(others), folder.name)
    texts: list[str] = []
    for path, content in zip(inside, contents, strict=True):
        own = encoding if encoding is not None or is_utf8(content) else shared
        text, _ = decode(content, path.relative_to(folder).as_posix(), own)
        texts.append(text.replace("\r\n", "\n").replace("\r", "\n").strip("\n"))
    counts = ", ".join(f"{label}: {count:,}" for label, count in list(Counter(labels).items())[:20])
    notes.append(f"{folder.name}: the subfolders are the labels ({counts}).")
    if len(inside) < len(paths):
        notes.append(f"{folder.name}: left out {len(paths) - len(inside):,} texts that are in no subfolder.")
    names = [path.relative_to(folder).as_posix() for path in inside]
    columns = {"text": texts, "label": labels, "file": names}
    return Table(folder.name, columns, list(range(1, len(texts) + 1)), "text", notes, sha256=digest.hexdigest())
