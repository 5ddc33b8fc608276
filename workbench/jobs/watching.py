"""Looking on while a run works, from any other process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workbench.jobs.queue import queue, reconcile
from workbench.jobs.worker import ensure_worker
from workbench.runs.run import Run
from workbench.workspace import Workspace


@dataclass(frozen=True)
class RunSnapshot:
    """What is to be seen of a run at one moment.

    Attributes:
        status: its ``status.json``.
        rows: the lines of metrics since the last look.
        ahead: how many runs are before it in the queue; None when it is not queued.
    """

    status: dict[str, Any]
    rows: list[dict[str, Any]]
    ahead: int | None


def watch(run: Run, workspace: Workspace, poll: float = 0.2) -> Iterator[RunSnapshot]:
    """Look at a run again and again until it has ended; the last snapshot shows its final state.

    A worker is started when the run is queued and none works. Closing the loop does not touch the run.
    """
    seen = 0
    while True:
        reconcile(run)
        status = run.status()
        rows, seen = run.read_metrics(seen)
        ahead = None
        if status["state"] == "queued":
            ensure_worker(workspace)
            ids = [other.id for other in queue(workspace)]
            ahead = ids.index(run.id) if run.id in ids else 0
        yield RunSnapshot(status, rows, ahead)
        if status["state"] not in ("queued", "running"):
            return
        time.sleep(poll)
