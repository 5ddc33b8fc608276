"""The folder of downloads: where it is, what lies in it, and whose turn it is to write there.

``<kind>/<name>`` holds an entry, ``partial`` what is still coming, ``locks`` a lock for each entry, and
``hub/<repository>/<commit>`` a model of the hub.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from workbench.data.progress import Progress
from workbench.errors import StorageError
from workbench.files import Lock, storage_errors
from workbench.workspace import Workspace


def downloads(workspace: Workspace) -> Path:
    """The folder that downloads go to: ``WORKBENCH_CACHE``, or the workspace's cache."""
    shared = os.environ.get("WORKBENCH_CACHE")
    return Path(shared).expanduser().absolute() if shared else workspace.cache


def make_folder(folder: Path) -> None:
    """Make a folder of the cache. Raises StorageError when that cannot be done."""
    try:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, FileNotFoundError) as error:
        raise StorageError(
            f"The folder {folder} cannot be made: {error.strerror}.",
            "Set WORKBENCH_CACHE or WORKBENCH_HOME to a folder.",
        ) from error


def entry_lock(root: Path, kind: str, name: str) -> Lock:
    """The lock of whoever fetches this entry, or removes it."""
    return Lock(root / "locks" / f"{kind}-{name}.lock", {"pid": os.getpid(), "what": f"fetching {name}"})


def partial_folder(root: Path, kind: str, name: str) -> Path:
    """Where an entry lies while it is coming; a part stays there for the next attempt."""
    return root / "partial" / f"{kind}-{name}"


@contextlib.contextmanager
def exclusive(lock: Lock, name: str, progress: Progress | None) -> Iterator[None]:
    """Hold the lock; tell when another process is fetching the same, and wait for it."""
    with storage_errors(lock.path):
        if not lock.acquire():
            if progress is not None:
                progress(f"{name}: waiting for another process that fetches it", 0, None)
            lock.acquire(wait=True)
    try:
        yield
    finally:
        lock.release()


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, without links; none where there is no folder."""
    return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()] if folder.is_dir() else []


def remove_folder(folder: Path) -> int:
    """Remove a folder. Returns the bytes freed."""
    size = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0
    shutil.rmtree(folder, ignore_errors=True)
    return size
