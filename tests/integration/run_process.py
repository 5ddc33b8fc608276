"""A process that keeps the contract of ``run-folder`` and does no more: ``python run_process.py RUN_FOLDER``.

It takes the run's lock (75 when another has it), claims the run, writes when it began into ``starts``, and then does
what the words in the run's notes say, one after another:

    slow-start N   (first word only) wait N seconds before anything at all, the lock included
    sleep N        for N seconds, or until asked to stop
    stubborn       ignore requests to stop and SIGTERM from here on
    fail           end as failed, with an error
    exit N         end with this exit code, without storing a state
    kill           end itself with SIGKILL
    orphan         start a process that outlives it, and write its id into ``orphan``

At the end it is ``succeeded``, or ``stopped`` when it was asked to stop; it writes the time into ``ended``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from workbench.errors import EXIT_ALREADY_RUNNING
from workbench.files import append_line, write_text
from workbench.machine import process_identity
from workbench.runs.run import Run


class Process:
    def __init__(self, run: Run) -> None:
        self.run = run
        self.stubborn = False

    def stopping(self) -> bool:
        return not self.stubborn and self.run.stop_requested()

    def do(self, words: list[str]) -> int | None:
        """Do what the words say. An exit code ends the process as it is."""
        while words and not self.stopping():
            word = words.pop(0)
            if word == "sleep":
                end = time.monotonic() + float(words.pop(0))
                while time.monotonic() < end and not self.stopping():
                    time.sleep(0.01)
            elif word == "stubborn":
                self.stubborn = True
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            elif word == "fail":
                error = {"kind": "Data", "message": "bad row 3", "hint": "mend it"}
                self.run.transition(("running",), "failed", error=error)
                return 1
            elif word == "exit":
                print("something went wrong in line 7", flush=True)
                return int(words.pop(0))
            elif word == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif word == "orphan":
                orphan = subprocess.Popen(["sleep", "60"])
                write_text(self.run.folder / "orphan", str(orphan.pid))
        return None


def main(folder: str) -> int:
    run = Run(Path(folder))
    words = run.spec().notes.split()
    if words[:1] == ["slow-start"]:
        time.sleep(float(words[1]))
        words = words[2:]
    if not run.process_lock().acquire():
        return EXIT_ALREADY_RUNNING
    if not run.transition(("queued", "running"), "running", process=process_identity()):
        return EXIT_ALREADY_RUNNING
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES")
    append_line(run.folder / "starts", {"pid": os.getpid(), "time": time.monotonic(), "gpu": gpu})
    code = Process(run).do(words)
    if code is not None:
        return code
    append_line(run.folder / "ended", {"time": time.monotonic()})
    run.transition(("running",), "stopped" if run.stop_requested() else "succeeded")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
