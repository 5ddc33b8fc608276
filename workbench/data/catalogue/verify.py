"""Check files against the size and sha256 that the catalogue pins. A file that does not match is never used."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO

from workbench.data.catalogue.entries import Entry, File
from workbench.errors import FetchError
from workbench.files import fsync_folder

BLOCK = 1 << 20  # bytes read at once


def looks_complete(folder: Path, entry: Entry) -> bool:
    """Return whether every file exists with the right size: quick, for lists.

    Args:
        folder: the entry's folder.
        entry: the pinned files.
    """
    return all(size_of(folder / name) == file.bytes for name, file in entry.files.items())


def size_of(path: Path) -> int:
    """Return the size of a file in bytes; -1 if there is none.

    Args:
        path: the file.
    """
    try:
        return path.stat().st_size
    except OSError:
        return -1


def is_complete(folder: Path, entry: Entry) -> bool:
    """Return whether every file exists with the pinned content, and remove files with other content.

    Args:
        folder: the entry's folder.
        entry: the pinned files.
    """
    if not looks_complete(folder, entry):
        return False
    complete = True
    for name, file in entry.files.items():
        if not is_verified(folder / name, file):
            (folder / name).unlink(missing_ok=True)
            complete = False
    return complete


_verified: set[tuple[str, int, int, int, str]] = set()  # files that this process has already hashed


def is_verified(path: Path, file: File) -> bool:
    """Return whether a file has exactly the pinned content. An unchanged file is hashed once per process.

    Args:
        path: the file.
        file: the pinned size and sha256.
    """
    try:
        stat = path.stat()
        key = (str(path), stat.st_ino, stat.st_mtime_ns, stat.st_size, file.sha256)
        if key not in _verified and stat.st_size == file.bytes and sha256_of(path) == file.sha256:
            _verified.add(key)
        return key in _verified
    except OSError:
        return False


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content in hexadecimal.

    Args:
        path: the file.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_verified(stream: IO[bytes], target: Path, file: File, partial: Path) -> None:
    """Copy a stream to a file if it has exactly the pinned content; otherwise nothing is left of it.

    Args:
        stream: the content.
        target: the file.
        file: the pinned size and sha256.
        partial: the folder for the unfinished file.

    Raises:
        FetchError: the content is not the pinned one.
    """
    draft = partial / f"{target.name}.draft"
    digest = hashlib.sha256()
    size = 0
    try:
        with open(draft, "wb") as out:
            while size <= file.bytes and (block := stream.read(min(BLOCK, file.bytes + 1 - size))):
                size += len(block)
                digest.update(block)
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
        check_content(target.name, size, digest.hexdigest(), file)
        os.replace(draft, target)
        fsync_folder(target.parent)
    finally:
        draft.unlink(missing_ok=True)


def check_content(name: str, size: int, sha256: str, file: File) -> None:
    """Compare a size and a sha256 with the pinned ones.

    Args:
        name: the file's name, for messages.
        size: in bytes.
        sha256: in hexadecimal.
        file: the pinned size and sha256.

    Raises:
        FetchError: they differ.
    """
    if size > file.bytes:
        raise FetchError(f"{name} is larger than the expected {file.bytes:,} bytes and was not used.")
    if size != file.bytes:
        raise FetchError(f"{name} has {size:,} bytes instead of {file.bytes:,} and was not used.")
    if sha256 != file.sha256:
        raise FetchError(f"{name} has the sha256 {sha256[:16]}..., not {file.sha256[:16]}..., and was not used.")
