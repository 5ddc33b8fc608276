"""How much space the folders of a workspace take, and how to free it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench.data.catalogue.cache import downloads, remove_folder
from workbench.data.catalogue.sources import clean_downloads
from workbench.data.text.token_cache import cache_folder
from workbench.runs.leftovers import clean_leftovers
from workbench.workspace import Workspace


@dataclass(frozen=True)
class FolderUsage:
    """A folder of the workspace.

    Attributes:
        name: for people.
        holds: its content, for people.
        path: the folder.
        bytes: size of its files.
        files: number of files.
        entries: folders and files directly in it: runs, uploads.
    """

    name: str
    holds: str
    path: Path
    bytes: int
    files: int
    entries: int


def folder_usage(workspace: Workspace) -> list[FolderUsage]:
    """Measure the folders of a workspace, without following links; files deleted meanwhile are skipped.

    Args:
        workspace: the workspace.
    """
    usage = [
        _measure("Runs", "settings, curves, results and models of all runs", workspace.runs),
        _measure("Uploads", "your own files, as you uploaded them", workspace.uploads),
        _measure("Cache", "what can be downloaded or computed again", workspace.cache),
    ]
    shared = downloads(workspace)
    if shared != workspace.cache:
        usage.append(_measure("Shared downloads", "data sets and models, in the folder of WORKBENCH_CACHE", shared))
    return usage


def cleanable(workspace: Workspace, shared: bool = False) -> list[FolderUsage]:
    """Measure what :func:`clean_cache` would delete, and what it would keep for other workspaces.

    Args:
        workspace: whose cache is cleaned.
        shared: also the folder of ``WORKBENCH_CACHE``.
    """
    names = {"Cache", *(["Shared downloads"] if shared else [])}
    return [usage for usage in folder_usage(workspace) if usage.name in names]


def clean_cache(workspace: Workspace, shared: bool = False) -> int:
    """Delete downloads, cached tokens, curves and what was left half made, except what is being downloaded right now.

    Args:
        workspace: whose cache is cleaned.
        shared: also the folder of ``WORKBENCH_CACHE``, whose downloads other workspaces may use.

    Returns:
        The bytes freed.
    """
    freed = clean_leftovers(workspace)
    for root in {workspace.cache, *([downloads(workspace)] if shared else [])}:
        freed += clean_downloads(root)
    return freed + remove_folder(cache_folder(workspace)) + remove_folder(workspace.cache / "curves")


def _measure(name: str, holds: str, path: Path) -> FolderUsage:
    size = files = 0
    for entry in _iterate_files(path):
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


def _iterate_files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield all files below a folder, at any depth, without following links."""
    pending = [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif not entry.is_symlink():
                        yield entry
        except OSError:  # deleted just now, or not readable
            continue
