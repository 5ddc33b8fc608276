"""Token numbers kept from one run to the next: the same texts, tokenizer and settings are tokenized once.

Tables lie in the workspace's cache as ``tokens/<fingerprint>.npz``: arrays of numbers, read without pickle. The oldest
go when there are too many. This is a help and never a hindrance: a file that is damaged is made anew, and where nothing
can be written, nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from workbench.errors import StorageError
from workbench.files import TEMPORARY_PREFIX, write_atomically
from workbench.workspace import Workspace

FOLDER = "tokens"  # in the workspace's cache
VERSION = 1  # of what is kept; another one is made anew
MIN_TEXTS = 4096  # texts: fewer are tokenized before a file is found
MAX_BYTES = 2 * 1024**3  # of all tables together
MAX_TABLE_BYTES = 512 * 1024**2  # bytes of a table: a larger one is not kept
_DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
_PIECE = 1024  # inputs that are fingerprinted at a time

Arrays: TypeAlias = dict[str, NDArray[Any]]


def cached_arrays(
    what: str, backend: Any, settings: Mapping[str, Any], inputs: Sequence[Sequence[Any]], make: Callable[[], Arrays]
) -> Arrays:
    """What ``make`` makes, or has made before of the same.

    Args:
        what: the name of the kind of table.
        backend: the tokenizers library's tokenizer.
        settings: all else that the arrays depend on; can be written as JSON.
        inputs: texts, pairs or rows of words, one sequence or several of one length.
        make: makes the arrays.
    """
    if not inputs or len(inputs[0]) < MIN_TEXTS:
        return make()
    path = _path(what, backend, settings, inputs)
    found = _read(path) if path is not None else None
    if found is not None:
        return found
    arrays = make()
    if path is not None:
        _write(path, arrays)
    return arrays


def cache_folder(workspace: Workspace) -> Path:
    """Where the tables of a workspace lie."""
    return workspace.cache / FOLDER


def fingerprint(what: str, backend: Any, settings: Mapping[str, Any], inputs: Sequence[Sequence[Any]]) -> str:
    """sha256 of all that token numbers depend on. See :func:`kept`."""
    import tokenizers

    backend.no_padding()
    backend.no_truncation()
    head = {"what": what, "version": VERSION, "library": tokenizers.__version__, "settings": dict(settings)}
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    digest.update(backend.to_str().encode())
    for column in inputs:
        digest.update(f"\0{len(column)}\0".encode())
        for start in range(0, len(column), _PIECE):
            # JSON is plain about where a text ends, and knows half characters.
            digest.update(json.dumps(list(column[start : start + _PIECE])).encode())
    return digest.hexdigest()


def _path(what: str, backend: Any, settings: Mapping[str, Any], inputs: Sequence[Sequence[Any]]) -> Path | None:
    """The file for these inputs; None where no folder can be had for it."""
    try:
        place = cache_folder(Workspace.current())
        place.mkdir(parents=True, exist_ok=True)
    except (OSError, StorageError):
        return None
    return place / f"{fingerprint(what, backend, settings, inputs)}.npz"


def _read(path: Path) -> Arrays | None:
    """The arrays in a file; None when it is missing or damaged (zip's checksums tell)."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if len(arrays["ids"]) != arrays["offsets"][-1]:
            raise ValueError("the arrays do not belong together")
        os.utime(path)  # it has been of use: others go first
    except FileNotFoundError:
        return None
    except _DAMAGED:
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    return arrays


def _write(path: Path, arrays: Arrays) -> None:
    """Keep arrays, whole or not at all."""
    if sum(array.nbytes for array in arrays.values()) > MAX_TABLE_BYTES:
        return
    with contextlib.suppress(OSError, StorageError):
        write_atomically(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
        _make_room(path.parent, path)


def _make_room(place: Path, newest: Path) -> None:
    """Remove the tables that were of no use for longest, until the others fit; another process may do the same."""
    found = []
    for path in place.glob("*.npz"):
        if not path.name.startswith(TEMPORARY_PREFIX) and path != newest:
            with contextlib.suppress(OSError):
                state = path.stat()
                found.append((state.st_mtime_ns, state.st_size, path))
    size = newest.stat().st_size + sum(bytes_ for _, bytes_, _ in found)
    for _, bytes_, path in sorted(found):
        if size <= MAX_BYTES:
            return
        path.unlink(missing_ok=True)
        size -= bytes_
