"""Everything that looks at the queue restarts a worker that has died: pages, commands, the processes of runs.

Otherwise what waits would wait until somebody submits another run.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from workbench.errors import WorkbenchError
from workbench.files import read_json
from workbench.jobs import start_worker
from workbench.jobs.waiting import has_running_sweep, is_paused
from workbench.runs.run import Run
from workbench.workspace import Workspace

LOOK_SECONDS = 5.0  # between two looks of a process that lives on
MAX_SLOTS = 64  # of a worker that died, which its successor takes over


def revive(workspace: Workspace) -> bool:
    """Start a worker if something waits, the queue is not paused, and no worker is running. Never fails.

    Args:
        workspace: whose worker.

    Returns:
        Whether one was started.
    """
    try:
        if start_worker.worker_lock(workspace).is_held() or is_paused(workspace) or not _something_waits(workspace):
            return False
        return start_worker.ensure_worker(workspace, _slots_of_the_dead(workspace))
    except (OSError, WorkbenchError):  # a full disk, or no memory for a process: the next look tries again
        return False


def _something_waits(workspace: Workspace) -> bool:
    """Return whether a run is queued (also one that a worker had taken when it died), or a sweep has trials left."""
    return any(run.status(cached=True).state == "queued" for run in Run.all(workspace)) or has_running_sweep(workspace)


def _slots_of_the_dead(workspace: Workspace) -> int | None:
    """Return the slots of a worker that was killed: its note stays in its lock file."""
    note = read_json(start_worker.worker_lock(workspace).path)
    slots = note.get("slots") if isinstance(note, dict) else None
    return slots if isinstance(slots, int) and 1 <= slots <= MAX_SLOTS else None


@contextlib.contextmanager
def keep_worker(workspace: Workspace, seconds: float = LOOK_SECONDS) -> Iterator[None]:
    """Look after the worker while the block runs, in a thread.

    Args:
        workspace: whose worker.
        seconds: between two looks.
    """
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(seconds):
            revive(workspace)

    threading.Thread(target=look, name="keep-worker", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
