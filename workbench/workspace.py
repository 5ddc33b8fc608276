"""The folder where everything of one user lives: ``WORKBENCH_HOME``, by default ``~/.workbench``.

    runs/            a folder per run
    sweeps/          a folder per sweep
    cache/           what can be downloaded or computed again
    uploads/         the user's own files, uploaded in the dashboard
    estimates/       what specs are expected to cost
    course/          the user's copy of the course, where the workbench is installed from a wheel
    progress.json    the reader's progress in the course
    worker.lock      held by the process that runs the queue
    settings.json    settings and the dashboard's password (hashed), readable by the owner only

Nothing is ever written outside it. Only its owner can open it: texts, predictions and notes may be private, and who
can open a lock can hold it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import StorageError
from workbench.files import inside, read_json, safe_name, storage_errors, write_json
from workbench.locks import waiting_lock
from workbench.system.storage import workspace_root

if TYPE_CHECKING:
    from workbench.types import Json, JsonObject


def _make_private(folder: Path, is_root: bool) -> None:
    """Create a folder that only its owner can open, and close one that an earlier version left open.

    A root that holds other things than a workspace (somebody named a shared folder) stays as it is: then its
    subfolders are closed.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.stat()
    if not state.st_mode & 0o077 or state.st_uid != os.geteuid() or state.st_mode & stat.S_ISVTX:
        return
    if is_root and not (folder / "runs").is_dir() and any(folder.iterdir()):
        return
    with contextlib.suppress(OSError):  # on a read-only disk, or one without permissions
        folder.chmod(0o700)


@dataclass(frozen=True)
class Workspace:
    """One user's folder. ``Workspace.current()`` is the one that ``WORKBENCH_HOME`` names.

    Args:
        root: the folder.
    """

    root: Path

    @classmethod
    def current(cls) -> Workspace:
        """Return the workspace that ``WORKBENCH_HOME`` names (default ``~/.workbench``); create it if it is missing."""
        return cls(workspace_root()).create()

    def create(self) -> Workspace:
        """Create the folders that are missing, for their owner only. Raises StorageError when that is not possible."""
        try:
            with storage_errors(self.root):
                self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
                for folder in (self.root, self.runs, self.cache, self.uploads):
                    _make_private(folder, is_root=folder == self.root)
        except (FileExistsError, NotADirectoryError) as error:
            raise StorageError(
                f"The workspace {self.root} cannot be created: there is a file of that name.",
                "Set WORKBENCH_HOME to a folder.",
            ) from error
        return self

    @property
    def runs(self) -> Path:
        """The folder of all runs."""
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        """The folder of what can be downloaded or computed again."""
        return self.root / "cache"

    @property
    def uploads(self) -> Path:
        """The folder of the user's own files."""
        return self.root / "uploads"

    def run_folder(self, run_id: str) -> Path:
        """Return the folder of a run, whether or not it exists.

        Args:
            run_id: the run's id.

        Raises:
            RefusedError: the id is not a single valid name.
        """
        inside(self.runs, safe_name(run_id, "run id"), "run")
        return self.runs / run_id

    @property
    def settings_file(self) -> Path:
        """The file of the settings."""
        return self.root / "settings.json"

    def settings(self) -> JsonObject:
        """Return the stored settings; empty when there are none."""
        settings = read_json(self.settings_file)
        return settings if isinstance(settings, dict) else {}

    def save_settings(self, **changes: Json) -> None:
        """Change some settings. Only the owner can read the file.

        Args:
            changes: new values by name; None removes a setting.
        """
        with waiting_lock(self.root / "settings.lock"):
            merged = {key: value for key, value in {**self.settings(), **changes}.items() if value is not None}
            write_json(self.settings_file, merged)
