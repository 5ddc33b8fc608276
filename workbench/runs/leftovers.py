"""What processes that were killed have left in a workspace: half made, half deleted, never read.

A folder or file is written or deleted under a name that begins with ``.tmp-``. Who is killed meanwhile leaves it.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from workbench.files import TEMPORARY_PREFIX
from workbench.locks import Lock
from workbench.runs.run import Run
from workbench.workspace import Workspace

OLD_SECONDS = 3600.0  # what is younger may still be written


def clean_leftovers(workspace: Workspace, older_than: float = OLD_SECONDS) -> int:
    """Remove what was left half made or half deleted, in the workspace's folders and in those of its runs.

    What a living process holds (a run's folder whose lock is held) is not touched.

    Args:
        workspace: the workspace.
        older_than: seconds since the last change of what is removed.

    Returns:
        The bytes freed.
    """
    before = time.time() - older_than
    freed = 0
    root, cache = workspace.root, workspace.cache
    for folder in (
        root,
        workspace.runs,
        workspace.uploads,
        root / "sweeps",
        root / "estimates",
        cache,
        cache / "tokens",
    ):
        for path in _leftovers(folder, before):
            freed += _remove(path)
    for run in Run.all(workspace):
        if not run.is_alive():
            for path in _leftovers(run.folder, before):
                freed += _remove(path)
    return freed


def _leftovers(folder: Path, before: float) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(TEMPORARY_PREFIX)]
    except OSError:
        return
    for name in names:
        path = folder / name
        try:
            if path.lstat().st_mtime < before and not Lock(path / "run.lock").is_held():
                yield path
        except OSError:  # removed just now
            continue


def _remove(path: Path) -> int:
    """Remove a file or a folder; return the bytes freed."""
    if path.is_symlink() or not path.is_dir():
        size = path.lstat().st_size
        path.unlink(missing_ok=True)
        return size
    size = 0
    for parent, _, names in os.walk(path):
        for name in names:
            try:
                size += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue
    shutil.rmtree(path, ignore_errors=True)
    return size
