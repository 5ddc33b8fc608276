"""Whether a file is exactly what the catalogue pins: its size and its sha256. What is not never gets a place."""

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
    """Whether every file is there with the right size: quick, for lists."""
    return all(size_of(folder / name) == file.bytes for name, file in entry.files.items())


def size_of(path: Path) -> int:
    """Bytes of a file; -1 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def is_complete(folder: Path, entry: Entry) -> bool:
    """Whether every file is there with the pinned content. A file that is not is removed."""
    if not looks_complete(folder, entry):
        return False
    whole = True
    for name, file in entry.files.items():
        if not is_verified(folder / name, file):
            (folder / name).unlink(missing_ok=True)
            whole = False
    return whole


_verified: set[tuple[str, int, int, int, str]] = set()  # files that this process has hashed already


def is_verified(path: Path, file: File) -> bool:
    """Whether the file at ``path`` is exactly what is pinned. One that has not changed is hashed once a process."""
    try:
        stat = path.stat()
        key = (str(path), stat.st_ino, stat.st_mtime_ns, stat.st_size, file.sha256)
        if key not in _verified and stat.st_size == file.bytes and sha256_of(path) == file.sha256:
            _verified.add(key)
        return key in _verified
    except OSError:
        return False


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_verified(stream: IO[bytes], target: Path, file: File, partial: Path) -> None:
    """Copy ``stream`` to ``target`` by way of ``partial``, if it is exactly the pinned content.

    Raises:
        FetchError: it is not; nothing is left of it.
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
    """Compare a size and a sha256 with what is pinned. Raises FetchError."""
    if size > file.bytes:
        raise FetchError(f"{name} is larger than the {file.bytes:,} bytes that it should have, and was not used.")
    if size != file.bytes:
        raise FetchError(f"{name} has {size:,} bytes instead of {file.bytes:,}, and was not used.")
    if sha256 != file.sha256:
        raise FetchError(f"{name} has the sha256 {sha256[:16]}..., not {file.sha256[:16]}..., and was not used.")
