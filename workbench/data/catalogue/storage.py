"""Where the files of a workspace are, and what they take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench.data.catalogue.cache import downloads
from workbench.workspace import Workspace


@dataclass(frozen=True)
class FolderUsage:
    """A folder of the workspace.

    Attributes:
        name: for people.
        holds: what lies in it, for people.
        path: where it is.
        bytes: what its files take.
        files: how many there are.
        entries: folders and files directly in it: runs, uploads.
    """

    name: str
    holds: str
    path: Path
    bytes: int
    files: int
    entries: int


def folder_usage(workspace: Workspace) -> list[FolderUsage]:
    """The folders of a workspace with what each takes; links are not followed, and what vanishes is passed over."""
    found = [
        _usage("Runs", "settings, curves, results and models of all runs", workspace.runs),
        _usage("Uploads", "your own files, as they were sent", workspace.uploads),
        _usage("Cache", "what can be fetched or computed again", workspace.cache),
    ]
    shared = downloads(workspace)
    if shared != workspace.cache:
        found.append(_usage("Shared downloads", "data sets and models, where WORKBENCH_CACHE says", shared))
    return found


def _usage(name: str, holds: str, path: Path) -> FolderUsage:
    size = files = 0
    for entry in _files(path):
        try:
            size += entry.stat(follow_symlinks=False).st_size
            files += 1
        except OSError:  # deleted just now
            continue
    try:
        entries = sum(not each.name.startswith(".") for each in os.scandir(path))
    except OSError:
        entries = 0
    return FolderUsage(name, holds, path, size, files, entries)


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All files below a folder, at any depth, without following links."""
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif not entry.is_symlink():
                        yield entry
        except OSError:  # deleted just now, or not ours to read
            continue
