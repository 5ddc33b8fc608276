"""Token ids cached between runs: the same texts, tokenizer and settings are tokenized once.

Arrays are cached in the workspace as ``tokens/<fingerprint>.npz`` and read without pickle. The least recently used are
deleted when there are too many. The cache helps and never hinders: a damaged file is made again, and if nothing can be
written, nothing is cached.
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
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from workbench.errors import StorageError
from workbench.files import TEMPORARY_PREFIX, optional_write, write_atomically
from workbench.types import Json
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

FOLDER = "tokens"  # in the workspace's cache
VERSION = 1  # of the cached arrays; those of another version are made again
MIN_TEXTS = 4096  # fewer are tokenized faster than a file is found
MAX_BYTES = 2 * 1024**3  # of all arrays together
MAX_TABLE_BYTES = 512 * 1024**2  # of the arrays of one call; larger ones are not cached
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
_BATCH = 1024  # inputs hashed at a time

Arrays: TypeAlias = dict[str, NDArray[Any]]
Inputs: TypeAlias = Sequence[Sequence[str | Sequence[str]]]  # columns of texts, or of rows of words


def cached_arrays(
    kind: str, backend: Backend, settings: Mapping[str, Json], inputs: Inputs, make: Callable[[], Arrays]
) -> Arrays:
    """Return arrays from the cache, or make and cache them.

    Args:
        kind: the kind of arrays: ``"texts"``, ``"words"``, ...
        backend: the tokenizer of the tokenizers library.
        settings: everything else that the arrays depend on.
        inputs: one sequence of N texts or rows of words, or several of the same length.
        make: makes the arrays.
    """
    if not inputs or len(inputs[0]) < MIN_TEXTS:
        return make()
    path = _path(kind, backend, settings, inputs)
    cached = _read(path) if path is not None else None
    if cached is not None:
        return cached
    arrays = make()
    if path is not None:
        _write(path, arrays)
    return arrays


def cache_folder(workspace: Workspace) -> Path:
    """Return the folder of the cached arrays.

    Args:
        workspace: the workspace.
    """
    return workspace.cache / FOLDER


def fingerprint(kind: str, backend: Backend, settings: Mapping[str, Json], inputs: Inputs) -> str:
    """Return the sha256 of everything that token ids depend on.

    Args:
        kind: the kind of arrays.
        backend: the tokenizer of the tokenizers library.
        settings: everything else that the arrays depend on.
        inputs: the texts or rows of words.
    """
    import tokenizers

    backend.no_padding()
    backend.no_truncation()
    head = {"what": kind, "version": VERSION, "library": tokenizers.__version__, "settings": dict(settings)}
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    digest.update(backend.to_str().encode())
    for column in inputs:
        digest.update(f"\0{len(column)}\0".encode())
        for start in range(0, len(column), _BATCH):
            # JSON shows where a text ends, and can encode lone surrogates.
            digest.update(json.dumps(list(column[start : start + _BATCH])).encode())
    return digest.hexdigest()


def _path(kind: str, backend: Backend, settings: Mapping[str, Json], inputs: Inputs) -> Path | None:
    """Return the file for these inputs; None if its folder cannot be created."""
    try:
        folder = cache_folder(Workspace.current())
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, StorageError):
        return None
    return folder / f"{fingerprint(kind, backend, settings, inputs)}.npz"


def _read(path: Path) -> Arrays | None:
    """Return the arrays in a file; None if it is missing or damaged (zip has checksums)."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if len(arrays["ids"]) != arrays["offsets"][-1]:
            raise ValueError("the arrays do not belong together")
        os.utime(path)  # mark as recently used
    except FileNotFoundError:
        return None
    except _DAMAGED:
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    return arrays


def _write(path: Path, arrays: Arrays) -> None:
    """Write arrays completely or not at all."""
    if sum(array.nbytes for array in arrays.values()) > MAX_TABLE_BYTES:
        return
    with optional_write():
        write_atomically(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
        _make_room(path.parent, path)


def _make_room(folder: Path, newest: Path) -> None:
    """Delete the least recently used files until the others fit; another process may do the same."""
    files = []
    for path in folder.glob("*.npz"):
        if not path.name.startswith(TEMPORARY_PREFIX) and path != newest:
            with contextlib.suppress(OSError):
                state = path.stat()
                files.append((state.st_mtime_ns, state.st_size, path))
    size = newest.stat().st_size + sum(file_bytes for _, file_bytes, _ in files)
    for _, file_bytes, path in sorted(files):
        if size <= MAX_BYTES:
            return
        path.unlink(missing_ok=True)
        size -= file_bytes
