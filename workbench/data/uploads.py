"""Which file a request from elsewhere may name: one that lies in the workspace's uploads, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from workbench.errors import DataError, RefusedError
from workbench.files import inside
from workbench.workspace import Workspace

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
