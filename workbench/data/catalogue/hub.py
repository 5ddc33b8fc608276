"""The Hugging Face hub: files that the catalogue pins, and models at a commit, without anything that could run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import ModuleType

from workbench.data.catalogue.entries import Entry, HubSource
from workbench.data.catalogue.verify import is_verified, write_verified
from workbench.data.progress import Progress
from workbench.errors import FetchError, MissingPackageError, RefusedError

# Nothing else is downloaded. In these patterns ``*`` also matches ``/``, so folders are excluded explicitly.
_ALLOWED = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja"]
_IGNORED = ["*/*"]
_NO_SPACE = (27, 28, 122)  # errno: file too large, no space left, quota exceeded
HUB_HINT = (
    "Check the name, the revision and the network; without a network, use path:FOLDER or a model of the catalogue."
)


def from_hub(source: HubSource, entry: Entry, folder: Path, partial: Path, name: str, progress: Progress) -> None:
    """Download files of a Hugging Face repository, one by one.

    Args:
        source: the repository, its revision and its files.
        entry: the pinned size and sha256 of each file.
        folder: the entry's folder.
        partial: the folder for unfinished downloads.
        name: the entry's name, for messages.
        progress: called before and after each file.

    Raises:
        FetchError: a file could not be downloaded, or is not the pinned one.
        MissingPackageError: huggingface_hub is not installed.
        OSError: the disk is full.
    """
    hub = hub_library()
    for file, path in source.files.items():
        pinned = entry.files[file]
        if is_verified(folder / file, pinned):
            continue
        progress(f"{name}: downloading {file} from {source}", 0, pinned.bytes)
        try:
            downloaded = hub.hf_hub_download(
                source.repository, path, revision=source.revision, repo_type=source.type, local_dir=partial / "hub"
            )
        except Exception as error:  # the hub's errors have no common base class
            raise hub_error(error) from error
        with open(downloaded, "rb") as stream:
            write_verified(stream, folder / file, pinned, partial)
        progress(f"{name}: downloading {file} from {source}", pinned.bytes, pinned.bytes)


def check_reference(repository: str, revision: str) -> None:
    """Refuse malformed names of repositories and revisions.

    Args:
        repository: ``owner/name``.
        revision: a commit, a tag or a branch.

    Raises:
        RefusedError: one of them is malformed.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", repository) or ".." in repository:
        raise RefusedError(f"{repository[:80]!r} is not the name of a repository.", "Write it as owner/name.")
    if not re.fullmatch(r"[A-Za-z0-9][\w./-]{0,99}", revision) or ".." in revision:
        raise RefusedError(f"{revision[:80]!r} is not a revision.", "Use a commit, a tag or a branch.")


def find_commit(repository: str, revision: str) -> str:
    """Resolve a revision to its current commit.

    Args:
        repository: ``owner/name``.
        revision: a commit, which is returned unchanged, a tag or a branch.

    Raises:
        FetchError: there is no such repository or revision, or no network.
    """
    hub = hub_library()
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return revision
    try:
        return str(hub.HfApi().model_info(repository, revision=revision).sha)
    except Exception as error:
        raise FetchError(f"hf:{repository}@{revision}: {hub_error(error)}", HUB_HINT) from error


def download_model(repository: str, revision: str, commit: str, folder: Path) -> None:
    """Download a model's safetensors weights, its configuration and its tokenizer.

    Args:
        repository: ``owner/name``.
        revision: the revision in the spec, for messages.
        commit: its commit.
        folder: where to download to.

    Raises:
        RefusedError: the model has no safetensors weights; ``folder`` is removed.
        FetchError: the download failed.
        OSError: the disk is full.
    """
    hub = hub_library()
    try:
        hub.snapshot_download(
            repository, revision=commit, local_dir=folder, allow_patterns=_ALLOWED, ignore_patterns=_IGNORED
        )
    except Exception as error:
        problem = hub_error(error)
        if isinstance(problem, OSError):
            raise problem from error
        raise FetchError(f"hf:{repository}@{revision}: {problem}", HUB_HINT) from error
    if not any(folder.glob("*.safetensors")):
        shutil.rmtree(folder, ignore_errors=True)
        raise RefusedError(
            f"hf:{repository}@{revision} has no safetensors weights.",
            "Other formats can run code when they are opened, and are never opened here. Choose another model.",
        )


def hub_library() -> ModuleType:
    """Import huggingface_hub, without its progress bars.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        import huggingface_hub
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError as error:
        raise MissingPackageError("huggingface_hub", "to fetch from the Hugging Face hub") from error
    disable_progress_bars()
    return huggingface_hub


def hub_error(error: Exception) -> Exception:
    """Convert an error of the hub to a FetchError; the error of a full disk is returned unchanged.

    Args:
        error: the error.
    """
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return error
    return FetchError(f"the hub did not provide it ({type(error).__name__}: {' '.join(str(error).split())[:160]})")
