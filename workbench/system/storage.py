"""Where a workspace is, and what can be done about its disk."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def workspace_root() -> Path:
    """Return the folder that ``WORKBENCH_HOME`` names, by default ``~/.workbench``."""
    return Path(os.environ.get("WORKBENCH_HOME") or "~/.workbench").expanduser().absolute()


def room_hint(folder: Path) -> str:
    """Return how to free space on the disk of a folder. The cache is named only if it is on that disk.

    Args:
        folder: on the disk that is full.
    """
    cache = workspace_root() / "cache"
    advice = ""
    with contextlib.suppress(OSError):
        if _disk_of(cache) == _disk_of(folder) and any(cache.iterdir()):
            advice = ", for example with: workbench data clean"
    return f"Free some space on the disk of {folder}{advice}."


def _disk_of(folder: Path) -> int:
    """Return the device number of a folder's disk, or that of the nearest folder above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.stat().st_dev
