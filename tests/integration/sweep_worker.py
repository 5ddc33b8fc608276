"""A worker whose runs write a single evaluation and exit: ``python sweep_worker.py WORKSPACE``."""

from __future__ import annotations

import sys
from pathlib import Path

from workbench.jobs import run_worker
from workbench.workspace import Workspace

RUN = """
import sys, time
from pathlib import Path
from workbench.files import append_line
from workbench.system.machine import process_identity
from workbench.runs.run import Run
run = Run(Path(sys.argv[1]))
lock = run.process_lock()
assert lock.acquire()
run.update_status(process=process_identity())
append_line(run.folder / "starts", {"time": time.time()})
time.sleep(0.2)
run.append_metrics({"step": 1, "eval/accuracy": 0.5})
run.transition(("running",), "succeeded")
"""

if __name__ == "__main__":
    run_worker(
        Workspace(Path(sys.argv[1])),
        1,
        until_empty=True,
        poll=0.02,
        command=lambda run: [sys.executable, "-c", RUN, str(run.folder)],
    )
