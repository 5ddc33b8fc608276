"""The files of a run's model, as they were saved: a changed weight or token is noticed before it gives an answer.

``workbench.json`` holds a sha256 of each file beside it. They are compared once in a process, and again if a file has
changed since. Models of earlier versions have no hashes, and load as before.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from workbench.errors import RefusedError
from workbench.files import TEMPORARY_PREFIX

NOTE_FILE = "workbench.json"  # which holds the hashes
_NOT_LOADED = (".md", ".lock")  # a model card
_verified: dict[str, tuple[tuple[str, int, int, int], ...]] = {}  # by folder: the files as they were when compared


def hash_files(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file of a model, by its name.

    Args:
        folder: of the model.
    """
    return {path.name: _digest(path) for path in _model_files(folder)}


def verify_files(folder: Path, hashes: Mapping[str, str], what: str) -> None:
    """Check that the files of a model are those that were saved.

    Args:
        folder: of the model.
        hashes: the result of :func:`hash_files` when it was saved; empty for a model of an earlier version.
        what: the model, for the message: ``"the model of run 2026-..."``.

    Raises:
        RefusedError: a file was changed, is missing or was added; the message names it.
    """
    if not hashes:
        return
    files = _model_files(folder)
    signature = tuple(
        (path.name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for path in files for stat in [os.stat(path)]
    )
    if _verified.get(str(folder)) == signature:
        return
    names = [path.name for path in files]
    wrong = [f"{name} is missing" for name in hashes if name not in names]
    wrong += [f"{name} was added" for name in names if name not in hashes]
    wrong += [
        f"{path.name} was changed" for path in files if path.name in hashes and _digest(path) != hashes[path.name]
    ]
    if wrong:
        raise RefusedError(
            f"The files of {what} are not those that were saved: {', '.join(wrong[:5])}.",
            "Restore the folder from a copy, or start the run again.",
        )
    _verified[str(folder)] = signature


def _model_files(folder: Path) -> list[Path]:
    """Return the files that loading a model may read, sorted."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file()
        and path.name != NOTE_FILE
        and path.suffix not in _NOT_LOADED
        and not path.name.startswith((TEMPORARY_PREFIX, "."))
    )


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
