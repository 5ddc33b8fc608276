"""A table in a gzip or zip file, unpacked into a temporary folder within bounds."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from workbench.data.readers.file_types import ARCHIVES, SUFFIXES
from workbench.data.readers.limits import check_unpacked
from workbench.errors import DataError

# What zipfile raises for a damaged or protected file; a name that is not UTF-8 is a ValueError.
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, RuntimeError, NotImplementedError, ValueError)
_CHUNK = 1 << 20
FORMAT_SUFFIXES = (".tmx",)  # of formats whose files are no tables; a table cannot be read of one
_IGNORED = ("__MACOSX/", ".DS_Store", "desktop.ini", "Thumbs.db")


@contextlib.contextmanager
def unpacked(path: Path, head: int | None = None) -> Iterator[Path]:
    """Unpack a file that holds one table, for as long as the context lasts; any other path is used as it is.

    Args:
        path: a file ``.gz`` or ``.zip``, or any other.
        head: unpack about this many bytes at most; None for all.

    Yields:
        The path of the file in it, with its own name.

    Raises:
        DataError: it holds several files or none, is damaged or protected, or unpacks to too much.
    """
    if path.suffix.lower() not in ARCHIVES or not path.is_file():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        try:
            if path.suffix.lower() == ".gz":
                with gzip.open(path) as source:
                    target = _copy(source, Path(folder), path.stem, path, head)
            else:
                with zipfile.ZipFile(path) as archive:
                    member = _only_member(archive, path.name)
                    with archive.open(member) as source:
                        target = _copy(source, Path(folder), PurePosixPath(member.filename).name, path, head)
        except (*DAMAGED, EOFError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise DataError(
                f"{path.name} cannot be unpacked: {reason}.", "Unpack it and use the file in it."
            ) from error
        yield target


def note_unpacked(path: Path, file: Path) -> list[str]:
    """Return the note on a file that was unpacked; none for any other.

    Args:
        path: the archive, or the file itself.
        file: the file that was read.
    """
    return [f"{path.name}: read the file in it, {file.name}."] if file != path else []


def _only_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not member.filename.startswith(_IGNORED) and not member.filename.endswith(_IGNORED)
    ]
    if len(members) != 1:
        listed = ", ".join(member.filename[:60] for member in members[:8]) + (" ..." if len(members) > 8 else "")
        raise DataError(
            f"{name} holds {len(members):,} files{f' ({listed})' if members else ''}, but one table is needed.",
            "Unpack it and name the files as data.train, data.valid and data.test.",
        )
    if members[0].flag_bits & 1:
        raise DataError(f"{name} is protected by a password.", "Unpack it and use the file in it.")
    return members[0]


def _copy(source: IO[bytes] | gzip.GzipFile, folder: Path, name: str, path: Path, head: int | None) -> Path:
    """Write the unpacked content to a file; stop at the limits, whatever the file declares."""
    if Path(name).suffix.lower() not in (*SUFFIXES, *FORMAT_SUFFIXES):
        raise DataError(
            f"{path.name} holds {name[:60]!r}, which is not a table.", f"Use one of: {', '.join(SUFFIXES)}."
        )
    target = folder / name
    packed = path.stat().st_size
    size = 0
    with open(target, "wb") as file:
        while (head is None or size < head) and (chunk := source.read(_CHUNK)):
            size += len(chunk)
            check_unpacked(path.name, size, packed)
            file.write(chunk)
    return target
