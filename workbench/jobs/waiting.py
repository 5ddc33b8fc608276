"""What waits: the queued runs in their order, the sweeps that have trials left, and whether the queue is paused.

Reading only, and cheap: a worker looks several times a second.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workbench.files import read_json
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
        status = read_json(run.status_file)
        if isinstance(status, dict) and status.get("state") == "queued":
            runs.append((queue_order(status), run.id, run))
    return sorted(runs, key=lambda item: item[:2])


def queue_order(status: Mapping[str, object]) -> float:
    """Return the order in the queue that a status holds; 0, the front, when it holds none.

    Args:
        status: status of a run.
    """
    order = status.get("order")
    return float(order) if isinstance(order, int | float) else 0.0


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


def has_running_sweep(workspace: Workspace) -> bool:
    """Return whether a sweep has trials left.

    Args:
        workspace: whose sweeps.
    """
    folder = sweeps_folder(workspace)
    states = (read_json(path) for path in folder.glob("*/state.json")) if folder.is_dir() else ()
    return any(isinstance(state, dict) and state.get("state") == "running" for state in states)


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
        status = read_json(run.status_file)
        return (str(status.get("state")), queue_order(status)) if isinstance(status, dict) else ("", 0.0)
