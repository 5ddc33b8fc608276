"""The Hugging Face hub: files that the catalogue pins, and models at a commit, without anything that could run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from workbench.data.catalogue.entries import Entry, HubSource
from workbench.data.catalogue.verify import is_verified, write_verified
from workbench.data.progress import Progress
from workbench.errors import FetchError, MissingPackageError, RefusedError

# What is not listed here does not come. In these patterns ``*`` matches ``/`` too, so folders are left out beside.
_KEPT = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja"]
_LEFT_OUT = ["*/*"]
_HINT = "Check the name, the revision and the network; without one, use path:FOLDER or a model of the catalogue."


def from_hub(source: HubSource, entry: Entry, folder: Path, partial: Path, name: str, progress: Progress) -> None:
    """Download files of a Hugging Face repository, one by one, into ``partial``."""
    hub = hub_library()
    for file, path in source.files.items():
        pinned = entry.files[file]
        if is_verified(folder / file, pinned):
            continue
        progress(f"{name}: downloading {file} from {source}", 0, pinned.bytes)
        try:
            found = hub.hf_hub_download(
                source.repository, path, revision=source.revision, repo_type=source.type, local_dir=partial / "hub"
            )
        except Exception as error:  # the hub's errors have no common base of their own
            raise hub_error(error) from error
        with open(found, "rb") as stream:
            write_verified(stream, folder / file, pinned, partial)
        progress(f"{name}: downloading {file} from {source}", pinned.bytes, pinned.bytes)


def check_reference(repository: str, revision: str) -> None:
    """Refuse what is no name of a repository or of a revision. Raises RefusedError."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", repository) or ".." in repository:
        raise RefusedError(f"{repository[:80]!r} is not a repository's name.", "Write it as owner/name.")
    if not re.fullmatch(r"[A-Za-z0-9][\w./-]{0,99}", revision) or ".." in revision:
        raise RefusedError(f"{revision[:80]!r} is not a revision.", "Give a commit, a tag or a branch.")


def find_commit(repository: str, revision: str) -> str:
    """The commit that a revision stands for now; a commit stands for itself. Raises FetchError."""
    hub = hub_library()
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return revision
    try:
        return str(hub.HfApi().model_info(repository, revision=revision).sha)
    except Exception as error:
        raise FetchError(f"hf:{repository}@{revision}: {hub_error(error)}", _HINT) from error


def download_model(repository: str, revision: str, commit: str, folder: Path) -> None:
    """Download a model's weights as safetensors, its configuration and its tokenizer into ``folder``.

    Raises:
        RefusedError: it has no safetensors weights; ``folder`` is removed.
        FetchError: it did not come whole.
        OSError: there is no room.
    """
    hub = hub_library()
    try:
        hub.snapshot_download(
            repository, revision=commit, local_dir=folder, allow_patterns=_KEPT, ignore_patterns=_LEFT_OUT
        )
    except Exception as error:
        problem = hub_error(error)
        if isinstance(problem, OSError):
            raise problem from error
        raise FetchError(f"hf:{repository}@{revision}: {problem}", _HINT) from error
    if not any(folder.glob("*.safetensors")):
        shutil.rmtree(folder, ignore_errors=True)
        raise RefusedError(
            f"hf:{repository}@{revision} has no weights as safetensors.",
            "Other formats can run code when they are opened, and are never opened here. Choose another model.",
        )


def hub_library() -> Any:
    """The package huggingface_hub, without its progress bars. Raises MissingPackageError."""
    try:
        import huggingface_hub
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError as error:
        raise MissingPackageError("huggingface_hub", "to fetch from the Hugging Face hub") from error
    disable_progress_bars()
    return huggingface_hub


def hub_error(error: Exception) -> Exception:
    """What the hub's error says, as ours; a full disk stays what it is."""
    if isinstance(error, OSError) and error.errno in (27, 28, 122):
        return error  # no room: the disk's fault, and told as such
    return FetchError(f"the hub did not give it ({type(error).__name__}: {' '.join(str(error).split())[:160]})")
