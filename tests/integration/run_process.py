"""A minimal process that fulfills the contract of ``run-folder``: ``python run_process.py RUN_FOLDER``.

It takes the run's lock (exit code 75 if another process holds it), claims the run, appends its start time to
``starts``, and then executes the commands in the run's notes one after another:

    slow-start N   (first command only) wait N seconds before doing anything, even taking the lock
    sleep N        sleep for N seconds or until a stop is requested
    stubborn       ignore stop requests and SIGTERM from now on
    fail           end as failed, with an error
    exit N         exit with code N without storing a state
    kill           kill itself with SIGKILL
    eat N          take N megabytes of memory, slowly, and keep them
    orphan         start a process that outlives this one, and write its id to ``orphan``

Finally the run becomes ``succeeded``, or ``stopped`` if a stop was requested, and the time is appended to ``ended``.
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
from workbench.runs.run import Run
from workbench.system.machine import process_identity


class ScriptedProcess:
    """Executes the commands in a run's notes."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.stubborn = False
        self.eaten: list[bytearray] = []

    def stopping(self) -> bool:
        return not self.stubborn and self.run.stop_requested()

    def execute(self, words: list[str]) -> int | None:
        """Execute the commands; an exit code means that the process exits without storing a state."""
        while words and not self.stopping():
            command = words.pop(0)
            if command == "sleep":
                end = time.monotonic() + float(words.pop(0))
                while time.monotonic() < end and not self.stopping():
                    time.sleep(0.01)
            elif command == "stubborn":
                self.stubborn = True
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            elif command == "fail":
                error = {"kind": "Data", "message": "bad row 3", "hint": "fix it"}
                self.run.transition(("running",), "failed", error=error)
                return 1
            elif command == "exit":
                print("something went wrong in line 7", flush=True)
                return int(words.pop(0))
            elif command == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif command == "eat":
                for _ in range(int(words.pop(0)) // 10):
                    self.eaten.append(bytearray(os.urandom(1) * 10_000_000))
                    time.sleep(0.1)
            elif command == "orphan":
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
    code = ScriptedProcess(run).execute(words)
    if code is not None:
        return code
    append_line(run.folder / "ended", {"time": time.monotonic()})
    run.transition(("running",), "stopped" if run.stop_requested() else "succeeded")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
