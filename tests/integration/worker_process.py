"""A worker whose runs are ``run_process.py``: ``python worker_process.py WORKSPACE [--slots N] [--kill-at POINT]``.

It ends when nothing is left to do. With ``--kill-at`` it ends itself with SIGKILL the first time that it comes to one
of ``POINTS``: that is how a test makes it die at an exact moment.
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

POINTS: dict[str, tuple[Any, str, bool]] = {  # where, and whether after it (or before)
    "before the run's lock": (Worker, "start", False),
    "with the lock, before the claim": (Run, "transition", False),
    "claimed, before the process": (Run, "transition", True),
    "at the process's start": (RunProcess, "start", False),
    "with the process, before the lock is handed over": (Lock, "detach", False),
    "with the lock handed over": (Lock, "detach", True),
    "before the end is taken in": (RunProcess, "conclude", False),
    "after the end is taken in": (RunProcess, "conclude", True),
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
    inputs = parser.parse_args()
    if inputs.kill_at:
        die_at(*POINTS[inputs.kill_at])
    try:
        run_worker(
            Workspace(inputs.workspace),
            inputs.slots,
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
