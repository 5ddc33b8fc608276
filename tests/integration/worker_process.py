"""A worker whose runs are ``run_process.py``: ``python worker_process.py WORKSPACE [--slots N] [--kill-at POINT]``.

It exits when the queue is empty. With ``--kill-at`` it kills itself with SIGKILL the first time that it reaches that
one of ``POINTS``, so that a test can make it die at an exact moment.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.jobs import run_worker
from workbench.jobs.process import RunProcess
from workbench.jobs.worker import Worker
from workbench.locks import Lock
from workbench.runs.run import Run
from workbench.workspace import Workspace

PROCESS = Path(__file__).with_name("run_process.py")

POINTS: dict[str, tuple[Any, str, bool]] = {  # owner, method, and whether to die after it (or before)
    "before the run's lock": (Worker, "start", False),
    "with the lock, before the claim": (Run, "transition", False),
    "claimed, before the process": (Run, "transition", True),
    "at the process's start": (RunProcess, "start", False),
    "with the process, before the lock is handed over": (Lock, "detach", False),
    "with the lock handed over": (Lock, "detach", True),
    "before the end is processed": (RunProcess, "conclude", False),
    "after the end is processed": (RunProcess, "conclude", True),
}


def die_at(owner: Any, name: str, after: bool) -> None:
    function: Callable[..., Any] = getattr(owner, name)

    def deadly(*arguments: Any, **options: Any) -> Any:
        if after:
            function(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, deadly)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--slots", type=int, default=None)
    parser.add_argument("--kill-at", choices=POINTS)
    arguments = parser.parse_args()
    if arguments.kill_at:
        die_at(*POINTS[arguments.kill_at])
    try:
        run_worker(
            Workspace(arguments.workspace),
            arguments.slots,
            until_empty=True,
            poll=0.02,
            command=lambda run: [sys.executable, str(PROCESS), str(run.folder)],
        )
    except WorkbenchError as error:
        print(error.kind, error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
