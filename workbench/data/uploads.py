"""The user's uploaded files: which of them a remote request may name, listing and deleting them.

A remote request may name a file in the workspace's uploads, and no other.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

from workbench.data.readers.file_types import ARCHIVES, SUFFIXES
from workbench.data.readers.formats import formats
from workbench.errors import DataError, RefusedError, RequestError, WorkbenchError
from workbench.files import inside, storage_errors
from workbench.runs.run import Run
from workbench.workspace import Workspace

ACTIVE = ("queued", "running")  # states in which a run reads its data, or will

# Home folders, network shares, control characters, backslashes, schemes, and encoded dots or separators: none of them
# is decoded here, and none is passed on to code that might.
_SUSPECT = re.compile(r"^~|^//|[\x00-\x1f\x7f\\#?]|^[A-Za-z][\w+.-]*:|%(2e|2f|5c|00|25)", re.IGNORECASE)


@dataclass(frozen=True)
class Upload:
    """An uploaded file: its name, path, and size in bytes."""

    name: str
    path: Path
    bytes: int


def upload_suffixes() -> tuple[str, ...]:
    """Return the suffixes of the files that can be uploaded, sorted."""
    of_formats = (suffix for _, kind in formats.items() for suffix in kind.suffixes)
    return tuple(sorted({*SUFFIXES, *ARCHIVES, *of_formats}))


def confined_path(workspace: Workspace, name: str) -> Path:
    """Return the uploaded file with this name, for remote requests, which must not read other files.

    Args:
        workspace: whose uploads are meant.
        name: the file's name or path; a relative one starts at the uploads.

    Raises:
        RefusedError: it is outside the uploads, however it is spelled, or is not a plain path.
        DataError: the file does not exist.
    """
    if not name or _SUSPECT.search(name):
        raise RefusedError(
            f"{name[:120]!r} is not the name of an uploaded file.",
            "Upload the file, and use its name as it is listed.",
        )
    try:
        path = inside(workspace.uploads, name, "data file")
        exists = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, or a loop of links
        raise RefusedError(f"{name[:120]!r} is not the name of an uploaded file.", "Choose another name.") from error
    if not exists:
        raise DataError(f"There is no uploaded file {name[:120]!r}.", "Upload it, or choose one that is listed.")
    return path


def list_uploads(workspace: Workspace) -> list[Upload]:
    """List the uploaded files by name, without links and partial files.

    Args:
        workspace: whose uploads are meant.
    """
    uploads, suffixes = [], upload_suffixes()
    for path in sorted(workspace.uploads.iterdir()) if workspace.uploads.is_dir() else ():
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and not path.is_symlink():
            with contextlib.suppress(OSError):  # deleted just now
                if path.is_file():
                    uploads.append(Upload(path.name, path, path.stat().st_size))
    return uploads


def unusable_uploads(workspace: Workspace) -> list[str]:
    """Return the names in the folder of the uploads that :func:`list_uploads` leaves out: links, pipes, other files.

    Args:
        workspace: whose uploads are meant.
    """
    listed = {upload.name for upload in list_uploads(workspace)}
    names = [path.name for path in workspace.uploads.iterdir()] if workspace.uploads.is_dir() else []
    return sorted(name for name in names if name not in listed and not name.startswith("."))


def active_runs_using(path: Path, workspace: Workspace) -> list[str]:
    """Return the ids of the queued and running runs that read a file.

    Args:
        path: the file.
        workspace: whose runs are meant.
    """
    target = path.resolve()
    ids = []
    for run in Run.all(workspace):
        if run.state not in ACTIVE:
            continue
        try:
            data = run.spec().data
        except WorkbenchError:
            continue  # a damaged spec names no file, and cannot run
        names = [name for name in (data.train, data.valid, data.test) if name]
        if any(_is_same_file(Path(name), target, workspace) for name in names):
            ids.append(run.id)
    return ids


def delete_upload(name: str, workspace: Workspace) -> None:
    """Delete an uploaded file.

    Args:
        name: the file's name.
        workspace: whose uploads are meant.

    Raises:
        RefusedError: it is outside the uploads.
        DataError: the file does not exist.
        RequestError: a queued or running run reads it.
    """
    path = confined_path(workspace, name)
    runs = active_runs_using(path, workspace)
    if runs:
        raise RequestError(
            f"{path.name} is used by {len(runs)} run{'s' if len(runs) > 1 else ''}: {', '.join(runs[:3])}.",
            "Wait until they have finished, or stop them first.",
        )
    with storage_errors(path):
        path.unlink(missing_ok=True)


def _is_same_file(path: Path, target: Path, workspace: Workspace) -> bool:
    try:
        return (workspace.uploads / path.expanduser()).resolve() == target
    except (OSError, RuntimeError, ValueError):
        return False
