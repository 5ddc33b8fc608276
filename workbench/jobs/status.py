"""What runs now, what waits, and why: for ``workbench queue`` and the dashboard."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TypedDict

from workbench.errors import StorageError
from workbench.files import TEMPORARY_PREFIX, write_atomically
from workbench.i18n import _, ngettext
from workbench.jobs import reviving
from workbench.jobs.start_worker import worker_lock
from workbench.jobs.waiting import StatusScan, is_paused, queue
from workbench.workspace import Workspace

PROBE_BYTES = 4096  # written to see whether a disk has room: as much as a status


class WorkerStatus(TypedDict):
    """The worker of a workspace.

    ``pid``, ``host``, ``since`` and ``slots`` are None without one; ``queued`` counts runs; ``active`` has the ids of
    the runs that are alive.
    """

    running: bool
    pid: int | None
    host: str | None
    since: str | None
    slots: int | None
    queued: int
    active: list[str]


class QueueStatus(TypedDict):
    """The queue of a workspace: ids of runs, the next one first; ``why`` is a sentence."""

    paused: bool
    worker: bool
    running: list[str]
    queued: list[str]
    why: str


def worker_status(workspace: Workspace) -> WorkerStatus:
    """Return whether a worker is running, and what it does.

    Args:
        workspace: whose worker.
    """
    lock = worker_lock(workspace)
    holder = lock.holder()
    queued, running = StatusScan(workspace).scan()
    return {
        "running": bool(holder) or lock.is_held(),
        "pid": holder.get("pid"),
        "host": holder.get("host"),
        "since": holder.get("since"),
        "slots": holder.get("slots"),
        "queued": len(queued),
        "active": [run.id for run in running if run.is_alive()],
    }


def queue_status(workspace: Workspace) -> QueueStatus:
    """Return what runs next, and why it waits.

    Args:
        workspace: whose queue.
    """
    revived = reviving.revive(workspace)
    worker = worker_status(workspace)
    queued = [run.id for run in queue(workspace)]
    paused = is_paused(workspace)
    why = _why(paused, worker, len(queued), revived)
    if queued and not paused and not worker["active"] and (trouble := storage_trouble(workspace.runs / queued[0])):
        why = _("Nothing can start: {trouble}").format(trouble=trouble)
    return {
        "paused": paused,
        "worker": worker["running"],
        "running": worker["active"],
        "queued": queued,
        "why": why,
    }


def storage_trouble(folder: Path) -> str | None:
    """Return why nothing can be written into a folder, and what to do; None if it can. Tries it with a small file.

    Args:
        folder: an existing folder.
    """
    probe = folder / f"{TEMPORARY_PREFIX}probe-{os.getpid()}"
    try:
        write_atomically(probe, lambda file: file.write(bytes(PROBE_BYTES)))
    except StorageError as error:
        return str(error).replace(f"{probe.name} could", "A file could")
    except OSError:
        return None  # the folder was deleted meanwhile
    with contextlib.suppress(OSError):
        probe.unlink(missing_ok=True)
    return None


def _why(paused: bool, worker: WorkerStatus, queued: int, revived: bool) -> str:
    """Explain in a sentence why the first run in the queue waits."""
    active, slots = len(worker["active"]), worker["slots"] or 1
    if paused:
        text = _("The queue is paused. Runs that are running continue, and no other is started.")
        return text if queued else f"{text} {_('Nothing is waiting.')}"
    if not queued:
        if active < slots:
            return _("Nothing is waiting. A run that you submit starts immediately.")
        return _("Nothing is waiting.")
    if active >= slots:
        text = ngettext("This machine handles {n} run at a time.", "This machine handles {n} runs at a time.", slots)
        return text.format(n=slots) + " " + _("The first in the queue starts when a run ends.")
    if not worker["running"] and not revived:
        return _("No worker is running. One starts with the next run that you submit, or with `workbench worker`.")
    return _("The first in the queue is about to start.")
