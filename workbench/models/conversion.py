"""Conversion of a model's file to a folder in transformers' format: once, completely or not at all.

models/smollm2/model.gguf --> models/smollm2/transformers/: config.json, model.safetensors, tokenizer.json, ...
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from workbench.data.progress import Progress, silent
from workbench.files import SHARED, TEMPORARY_PREFIX, fsync_file, fsync_folder, read_json, storage_errors, write_json
from workbench.locks import Lock

CONVERTED = "transformers"  # the folder next to the file
NOTE = "converted.json"  # in that folder: the sizes of its files and of the original file

# Writes the model in a file into an empty folder; the last argument receives each step, as a phrase.
Converter: TypeAlias = Callable[[Path, Path, Callable[[str], None]], None]


def convert_once(
    file: Path, version: int, convert: Converter, lock: Lock, name: str, progress: Progress | None = None
) -> Path:
    """Convert a file to a folder in transformers' format, unless that was done before.

    Args:
        file: in a writable folder.
        version: of the conversion; results of another version are not used.
        convert: writes the folder.
        lock: held during the conversion; other processes that need the same model wait.
        name: name of the model, for messages.
        progress: receives the progress.

    Returns:
        The folder. It is complete: a conversion that fails leaves nothing.

    Raises:
        StorageError: the disk is full.
    """
    folder, report = file.parent / CONVERTED, progress or silent
    if _is_complete(folder, file, version):
        return folder
    with storage_errors(lock.path):
        if not lock.acquire():
            report(f"{name}: waiting for another process to convert it", 0, None)
            lock.acquire(wait=True)

    def write(draft: Path) -> None:
        convert(file, draft, lambda step: report(f"{name}: {step}", 0, None))
        sizes = {path.name: path.stat().st_size for path in draft.iterdir()}
        write_json(draft / NOTE, {"version": version, "source_bytes": file.stat().st_size, "files": sizes}, SHARED)

    try:
        if not _is_complete(folder, file, version):
            with storage_errors(folder):
                _replace(folder, write)
    finally:
        lock.release()
    return folder


def _is_complete(folder: Path, file: Path, version: int) -> bool:
    """Whether the folder was converted from this file by this version, and nothing in it is missing or truncated."""
    note = read_json(folder / NOTE)
    if not isinstance(note, dict) or note.get("version") != version or note.get("source_bytes") != file.stat().st_size:
        return False
    try:
        return all((folder / name).stat().st_size == size for name, size in note["files"].items())
    except OSError:
        return False


def _replace(folder: Path, write: Callable[[Path], None]) -> None:
    """Write to a draft folder, and replace ``folder`` by it once it is complete and on the disk."""
    for leftover in folder.parent.glob(f"{TEMPORARY_PREFIX}{folder.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)  # of a process that died
    draft = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY_PREFIX}{folder.name}-", dir=folder.parent))
    try:
        write(draft)
        for path in draft.iterdir():
            fsync_file(path)
        fsync_folder(draft)
        shutil.rmtree(folder, ignore_errors=True)  # of another version
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    fsync_folder(folder.parent)
