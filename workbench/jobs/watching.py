"""A run or a sweep, observed from another process until it has ended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import StorageError
from workbench.jobs import start_worker
from workbench.jobs.reconciling import reconcile
from workbench.jobs.status import queue_status
from workbench.jobs.waiting import queue
from workbench.runs.documents import Status
from workbench.runs.run import Run
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.jobs.sweep_state import Trial
    from workbench.jobs.sweeps import Sweep


WHY_SECONDS = 2.0  # that a run waits before it is asked why, and between two such questions


@dataclass(frozen=True)
class RunSnapshot:
    """A run at one moment.

    Attributes:
        status: its ``status.json``.
        rows: the lines of metrics since the last snapshot.
        ahead: how many runs are before it in the queue; None when it is not queued.
        why: why the queue does not move, when the run has waited for a while; empty otherwise.
    """

    status: Status
    rows: list[dict[str, Any]]
    ahead: int | None
    why: str = ""


def watch(run: Run, workspace: Workspace, poll: float = 0.2) -> Iterator[RunSnapshot]:
    """Yield snapshots of a run until it has ended; the last one shows its final state.

    A worker is started when the run is queued and none is running. Closing the loop does not touch the run.

    Args:
        run: the run.
        workspace: where it is.
        poll: seconds between checks.
    """
    start, why, explained_at = 0, "", time.monotonic()
    while True:
        with contextlib.suppress(StorageError):  # on a full disk it stays as it is, and is shown
            reconcile(run)
        status = run.status()
        rows, start = run.read_metrics(start)
        ahead = None
        if status.state == "queued":
            with contextlib.suppress(StorageError):
                start_worker.ensure_worker(workspace)
            ids = [other.id for other in queue(workspace)]
            ahead = ids.index(run.id) if run.id in ids else 0
            if time.monotonic() - explained_at >= WHY_SECONDS:
                why, explained_at = queue_status(workspace)["why"], time.monotonic()
        else:
            why, explained_at = "", time.monotonic()
        yield RunSnapshot(status, rows, ahead, why)
        if status.state not in ("queued", "running"):
            return
        time.sleep(poll)


def watch_sweep(sweep: Sweep, poll: float = 0.5) -> Iterator[Trial]:
    """Yield each trial of a sweep when it has ended, until the sweep has ended.

    A worker is started when none is running. Closing the loop does not touch the sweep.

    Args:
        sweep: the sweep.
        poll: seconds between checks.
    """
    seen = 0
    while True:
        state = sweep.read()
        ended = [trial for trial in state["trials"] if trial["state"] != "running"]
        yield from ended[seen:]
        seen = max(seen, len(ended))
        if state["state"] != "running":
            return
        with contextlib.suppress(StorageError):
            start_worker.ensure_worker(sweep.workspace)
        time.sleep(poll)
