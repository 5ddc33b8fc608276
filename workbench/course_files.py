"""The files of the course: in a checkout its own folders, in an installation a copy inside the package.

A wheel carries ``notebooks/`` and ``tutorials/`` as ``workbench/course/`` (see ``setup.py``). Users work on a copy in
their workspace.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from workbench.files import SHARED, read_json, storage_errors, write_json
from workbench.workspace import Workspace

FOLDERS = ("notebooks", "tutorials")
_PACKAGE = Path(__file__).resolve().parent
_COPIED = ".copied.json"  # the hash of each file as it was copied


def course_root() -> Path:
    """Return the folder that holds ``notebooks/`` and ``tutorials/``: the checkout, or else the package's copy."""
    checkout = _PACKAGE.parent
    return checkout if (checkout / FOLDERS[0]).is_dir() else _PACKAGE / "course"


def is_checkout() -> bool:
    """Return whether the course is a checkout's own, which can be worked on where it is."""
    return course_root() != _PACKAGE / "course"


def copy_course(workspace: Workspace, source: Path | None = None) -> Path:
    """Copy the course into a workspace, or update the copy there.

    A file that the user has changed is never touched. One that the user has not changed follows a newer version.

    Args:
        workspace: where; the folder is ``course/``.
        source: what to copy; the package's own copy by default.

    Returns:
        The folder in the workspace.

    Raises:
        StorageError: the disk is full or read-only.
    """
    source = source or course_root()
    target = workspace.root / "course"
    stored = read_json(target / _COPIED)
    copied = dict(stored) if isinstance(stored, dict) else {}
    with storage_errors(target):
        for folder in FOLDERS:
            for file in sorted((source / folder).rglob("*")):
                if file.suffix in (".ipynb", ".py", ".md") and not any(part.startswith(".") for part in file.parts):
                    name = file.relative_to(source).as_posix()
                    copied[name] = _copy(file, target / name, copied.get(name))
        target.mkdir(parents=True, exist_ok=True)
    write_json(target / _COPIED, copied, SHARED)
    return target


def _copy(file: Path, target: Path, copied: str | None) -> str | None:
    """Copy one file unless the user has changed it; return the hash of what was copied last."""
    new = _hash(file)
    if target.exists() and (copied is None or _hash(target) != copied):
        return copied
    if copied != new or not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return new


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
