"""A process that keeps the contract of ``run-folder`` and does no more: ``python run_process.py RUN_FOLDER [WORDS...]``.

It takes the run's lock (75 when another has it), claims the run, appends its process id to ``starts``, and then does
what the words in the run's notes say, one after another:

    sleep N      for N seconds, or until asked to stop
    fail         end as failed, with an error
    exit N       end with this exit code, without storing a state
    kill         end itself with SIGKILL
    slow-start N wait N seconds before it does anything at all

At the end it is ``succeeded``, or ``stopped`` when it was asked to stop.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from workbench.files import append_line
from workbench.machine import process_identity
from workbench.runs.run import Run


def sleep(run: Run, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not run.stop_requested():
        time.sleep(0.01)


def main(folder: str) -> int:
    run = Run(Path(folder))
    words = run.spec().notes.split()
    if words[:1] == ["slow-start"]:
        time.sleep(float(words[1]))
        words = words[2:]
    if not run.process_lock().acquire():
        return 75
    if not run.transition(("queued", "running"), "running", process=process_identity()):
        return 75
    append_line(run.folder / "starts", {"pid": os.getpid(), "gpu": os.environ.get("CUDA_VISIBLE_DEVICES")})
    print("working", flush=True)
    while words and not run.stop_requested():
        word = words.pop(0)
        if word == "sleep":
            sleep(run, float(words.pop(0)))
        elif word == "fail":
            error = {"kind": "Data", "message": "bad row 3", "hint": ""}
            run.transition(("running",), "failed", error=error)
            return 1
        elif word == "exit":
            print("something went wrong in line 7", flush=True)
            return int(words.pop(0))
        elif word == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
    run.transition(("running",), "stopped" if run.stop_requested() else "succeeded")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
