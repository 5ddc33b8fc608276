"""Where everything of one user lives: ``WORKBENCH_HOME``, by default ``~/.workbench``.

    runs/            one folder a run
    cache/           what can be fetched or computed again
    uploads/         the user's own files, as the dashboard took them
    progress.json    what was done of the course
    worker.lock      who runs the queue
    settings.json    settings and the dashboard's password (hashed), readable by the owner only

Nothing is ever written outside it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import StorageError
from workbench.files import inside, read_json, safe_name, storage_errors, write_json
from workbench.locks import waiting_lock


@dataclass(frozen=True)
class Workspace:
    """One user's folder. ``Workspace.current()`` is the one that ``WORKBENCH_HOME`` names."""

    root: Path

    @classmethod
    def current(cls) -> Workspace:
        """The workspace that ``WORKBENCH_HOME`` names (default ``~/.workbench``), created when it is missing."""
        return cls(Path(os.environ.get("WORKBENCH_HOME") or "~/.workbench").expanduser().absolute()).create()

    def create(self) -> Workspace:
        """Make the folders that are missing. Raises StorageError when that cannot be done."""
        try:
            with storage_errors(self.root):
                for folder in (self.root, self.runs, self.cache, self.uploads):
                    folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise StorageError(
                f"The workspace {self.root} cannot be made: a file stands in its place.",
                "Set WORKBENCH_HOME to a folder.",
            ) from error
        return self

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def uploads(self) -> Path:
        return self.root / "uploads"

    def run_folder(self, run_id: str) -> Path:
        """The folder of the run with this id, whether or not it exists. Refuses an id that is not one name."""
        inside(self.runs, safe_name(run_id, "run id"), "run")
        return self.runs / run_id

    @property
    def settings_file(self) -> Path:
        return self.root / "settings.json"

    def settings(self) -> dict[str, Any]:
        """The stored settings; empty when there are none."""
        found = read_json(self.settings_file)
        return found if isinstance(found, dict) else {}

    def save_settings(self, **changes: Any) -> None:
        """Change some settings; None removes one. Only the owner can read the file."""
        with waiting_lock(self.root / "settings.lock"):
            merged = {key: value for key, value in {**self.settings(), **changes}.items() if value is not None}
            write_json(self.settings_file, merged, mode=0o600)
