"""What waits: the queued runs in their order, the sweeps that have trials left, and whether the queue is paused.

Reading only, and cheap: a worker looks several times a second.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from workbench.files import is_safe_name
from workbench.jobs.sweep_state import read_state
from workbench.runs.documents import Status
from workbench.runs.run import Run
from workbench.workspace import Workspace

PAUSED = "queue.paused"  # a file in the workspace while nothing is started
_GAP = 1e-3  # seconds between two runs that were queued while the clock stood still or went back


def queue(workspace: Workspace) -> list[Run]:
    """Return the queued runs, the next one first.

    Args:
        workspace: whose queue.
    """
    return [run for _, _, run in queued(workspace)]


def queued(workspace: Workspace) -> list[tuple[float, str, Run]]:
    """Return the queued runs with their order and id, the next one first.

    Args:
        workspace: whose queue.
    """
    runs = []
    for run in Run.all(workspace):
        status = run.stored_status(cached=True)
        if status.state == "queued":
            runs.append((queue_order(status), run.id, run))
    return sorted(runs, key=lambda item: item[:2])


def queue_order(status: Status) -> float:
    """Return the order in the queue that a status holds; 0, the front, when it holds none.

    Args:
        status: status of a run.
    """
    return float(status.order or 0.0)


def next_order(workspace: Workspace) -> float:
    """Return an order behind everything that is queued, whatever the clock says.

    Args:
        workspace: whose queue.
    """
    runs = queued(workspace)
    return max(time.time(), runs[-1][0] + _GAP) if runs else time.time()


def is_paused(workspace: Workspace) -> bool:
    """Return whether no more runs are started.

    Args:
        workspace: whose queue.
    """
    return (workspace.root / PAUSED).exists()


def sweeps_folder(workspace: Workspace) -> Path:
    """Return the folder of all sweeps, which may be missing.

    Args:
        workspace: whose sweeps.
    """
    return workspace.root / "sweeps"


def sweep_folders(workspace: Workspace) -> list[Path]:
    """Return the folders of all sweeps: those that have a state, and a name that can be opened.

    Args:
        workspace: whose sweeps.
    """
    folder = sweeps_folder(workspace)
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and is_safe_name(entry.name)
            ]
    except OSError:
        return []
    return [folder / name for name in sorted(names) if os.path.lexists(folder / name / "state.json")]


def has_running_sweep(workspace: Workspace) -> bool:
    """Return whether a sweep has trials left.

    Args:
        workspace: whose sweeps.
    """
    return any(read_state(folder)["state"] == "running" for folder in sweep_folders(workspace))


def has_work(workspace: Workspace) -> bool:
    """Return whether runs are queued, or a sweep has trials left.

    Args:
        workspace: whose queue and sweeps.
    """
    return bool(queue(workspace)) or has_running_sweep(workspace)


@dataclass
class StatusScan:
    """The stored states of all runs; only files that have changed since the last scan are read again.

    Args:
        workspace: whose runs.
    """

    workspace: Workspace
    _known: dict[str, tuple[tuple[int, int, int], str, float]] = field(default_factory=dict)

    def scan(self) -> tuple[list[Run], list[Run]]:
        """Return the queued runs, the next one first, and the runs that say ``running``."""
        fresh = {}
        for run in Run.all(self.workspace):
            with contextlib.suppress(OSError):  # deleted in the meantime
                stat = os.stat(run.status_file)
                signature = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
                known = self._known.get(run.id)
                fresh[run.id] = known if known and known[0] == signature else (signature, *self._read(run))
        self._known = fresh
        waiting = sorted((order, name) for name, (_, state, order) in fresh.items() if state == "queued")
        running = sorted(name for name, (_, state, _) in fresh.items() if state == "running")
        runs = self.workspace.runs
        return [Run(runs / name) for _, name in waiting], [Run(runs / name) for name in running]

    @staticmethod
    def _read(run: Run) -> tuple[str, float]:
        status = run.stored_status()
        return status.state, queue_order(status)
