"""A detached worker: ``python -m workbench.jobs WORKSPACE [--slots N] [--idle SECONDS]``. See ``ensure_worker``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.jobs.start_worker import IDLE_SECONDS
from workbench.jobs.worker import run_worker
from workbench.system.terminal import printable_output, say
from workbench.workspace import Workspace


def main() -> int:
    """Run a worker until it has been idle for a while; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m workbench.jobs", description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--slots", type=int, default=None)
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS, help="end after this many seconds without work")
    options = parser.parse_args()
    with printable_output():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        run_worker(Workspace(options.workspace).create(), options.slots, idle_seconds=options.idle)
    except WorkbenchError as error:
        say(str(error), to_errors=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
