"""The user's own files: which of them a request from elsewhere may name, what there is, and deleting one.

A request may name a file that lies in the workspace's uploads, and no other.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

from workbench.data.readers.file_types import SUFFIXES
from workbench.errors import DataError, RefusedError, RequestError, WorkbenchError
from workbench.files import inside, storage_errors
from workbench.runs.run import Run
from workbench.workspace import Workspace

ACTIVE = ("queued", "running")  # states in which a run reads its data, or will

# Home folders, network shares, control characters, backslashes, schemes, and dots or separators in an encoded form:
# none of them is decoded here, and none is let through to somebody who might.
_SUSPECT = re.compile(r"^~|^//|[\x00-\x1f\x7f\\#?]|^[A-Za-z][\w+.-]*:|%(2e|2f|5c|00|25)", re.IGNORECASE)


def confined_path(workspace: Workspace, name: str) -> Path:
    """The file that ``name`` names, when it lies inside the workspace's uploads.

    For requests from elsewhere, which may not read the machine's other files. A relative name is taken from the
    uploads.

    Raises:
        RefusedError: it lies outside, by whatever spelling, or is no plain path.
        DataError: there is no such file.
    """
    if not name or _SUSPECT.search(name):
        raise RefusedError(
            f"{name[:120]!r} is not the name of an uploaded file.",
            "Upload the file, and give its name as it is listed.",
        )
    try:
        path = inside(workspace.uploads, name, "data file")
        there = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, or a loop of links
        raise RefusedError(f"{name[:120]!r} is not the name of an uploaded file.", "Choose another name.") from error
    if not there:
        raise DataError(f"There is no uploaded file {name[:120]!r}.", "Upload it, or choose one that is listed.")
    return path


@dataclass(frozen=True)
class Upload:
    """A file in the workspace's uploads: its name, path, and size in bytes."""

    name: str
    path: Path
    bytes: int


def list_uploads(workspace: Workspace) -> list[Upload]:
    """The files that were uploaded, by name; links and half-written files are none."""
    found = []
    for path in sorted(workspace.uploads.iterdir()) if workspace.uploads.is_dir() else ():
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not path.is_symlink():
            with contextlib.suppress(OSError):  # deleted just now
                if path.is_file():
                    found.append(Upload(path.name, path, path.stat().st_size))
    return found


def active_runs_using(path: Path, workspace: Workspace) -> list[str]:
    """Ids of the runs that read this file and are queued or at work."""
    wanted = path.resolve()
    using = []
    for run in Run.all(workspace):
        if run.state not in ACTIVE:
            continue
        try:
            data = run.spec().data
        except WorkbenchError:
            continue  # a damaged spec names no file, and cannot run
        given = [name for name in (data.train, data.valid, data.test) if name]
        if any(_is(Path(name), wanted, workspace) for name in given):
            using.append(run.id)
    return using


def delete_upload(name: str, workspace: Workspace) -> None:
    """Remove an uploaded file.

    Raises:
        RefusedError: it lies elsewhere.
        DataError: there is no such file.
        RequestError: a queued or running run reads it.
    """
    path = confined_path(workspace, name)
    using = active_runs_using(path, workspace)
    if using:
        raise RequestError(
            f"{path.name} is used by {len(using)} run{'s' if len(using) > 1 else ''}: {', '.join(using[:3])}.",
            "Wait until they have finished, or stop or cancel them first.",
        )
    with storage_errors(path):
        path.unlink(missing_ok=True)


def _is(given: Path, wanted: Path, workspace: Workspace) -> bool:
    try:
        return (workspace.uploads / given.expanduser()).resolve() == wanted
    except (OSError, RuntimeError, ValueError):
        return False
