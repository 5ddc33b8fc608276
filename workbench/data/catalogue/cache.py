"""The folder of downloads: its layout, and locks so that one process at a time writes an entry.

``<kind>/<name>`` holds an entry, ``partial`` unfinished downloads, ``locks`` a lock for each entry, and
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
from workbench.files import storage_errors
from workbench.locks import Lock
from workbench.workspace import Workspace


def downloads(workspace: Workspace) -> Path:
    """Return the folder of downloads: ``WORKBENCH_CACHE``, or the workspace's cache.

    Args:
        workspace: the workspace.
    """
    shared = os.environ.get("WORKBENCH_CACHE")
    return Path(shared).expanduser().absolute() if shared else workspace.cache


def make_folder(folder: Path) -> None:
    """Create a folder of the cache.

    Args:
        folder: the folder; it may exist.

    Raises:
        StorageError: it cannot be created.
    """
    try:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, FileNotFoundError) as error:
        raise StorageError(
            f"The folder {folder} cannot be created: {error.strerror}.",
            "Set WORKBENCH_CACHE or WORKBENCH_HOME to a folder.",
        ) from error


def entry_lock(root: Path, kind: str, name: str) -> Lock:
    """Return the lock to hold while fetching or removing an entry.

    Args:
        root: the folder of downloads.
        kind: the entry's kind.
        name: the entry's name.
    """
    return Lock(root / "locks" / f"{kind}-{name}.lock", {"pid": os.getpid(), "what": f"fetching {name}"})


def partial_folder(root: Path, kind: str, name: str) -> Path:
    """Return the folder of an entry's unfinished downloads, which the next attempt resumes.

    Args:
        root: the folder of downloads.
        kind: the entry's kind.
        name: the entry's name.
    """
    return root / "partial" / f"{kind}-{name}"


@contextlib.contextmanager
def exclusive(lock: Lock, name: str, progress: Progress | None) -> Iterator[None]:
    """Hold a lock; if another process holds it, report that and wait.

    Args:
        lock: the entry's lock.
        name: the entry's name, for the report.
        progress: called when waiting begins.
    """
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
    """Return the folders in a folder, without links; none if it does not exist.

    Args:
        folder: the folder.
    """
    return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()] if folder.is_dir() else []


def remove_folder(folder: Path) -> int:
    """Remove a folder.

    Args:
        folder: the folder; it may be missing.

    Returns:
        The bytes freed.
    """
    size = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0
    shutil.rmtree(folder, ignore_errors=True)
    return size
