"""The process of one run: how it is started, and what its end means."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import Any

import psutil

from workbench.errors import OutOfMemoryError, RunError
from workbench.files import Lock, read_json, storage_errors
from workbench.jobs.usage import Usage
from workbench.machine import oom_kills, tree_rss_bytes
from workbench.runs.run import LOCK_VARIABLE, Run, State
from workbench.workspace import Workspace

TAKEN = 75  # exit code of a process that found another at work on its run, or nothing to do (EX_TEMPFAIL)
LOG_LINES = 15  # of the log, in the message of a run that failed without a word
_MEMORY_SECONDS = 0.5  # between two looks at a process's memory


@dataclass
class RunProcess:
    """A run's process, as the worker that started it sees it."""

    run: Run
    popen: subprocess.Popen[bytes]
    oom_kills_before: int
    usage: Usage | None = None
    peak_rss: int = 0
    _looked_at: float = 0.0

    @classmethod
    def start(cls, run: Run, command: list[str], lock: Lock, device: str | None, workspace: Workspace) -> RunProcess:
        """Start the process; it leads a process group of its own, and holds the run's lock from its first moment.

        Args:
            run: the run, claimed.
            command: the process's arguments.
            lock: the run's lock, held by this process; it is passed on.
            device: the GPU that it may use, as ``CUDA_VISIBLE_DEVICES`` names it; None for no restriction.
            workspace: the run's workspace.

        Raises:
            OSError: the system cannot start a process now.
        """
        from workbench.jobs.worker import module_environment

        handle = lock.fileno()
        environment = {
            **os.environ,
            **module_environment(),
            "WORKBENCH_HOME": str(workspace.root),
            "PYTHONUNBUFFERED": "1",
            LOCK_VARIABLE: str(handle),
        }
        if device is not None:
            environment["CUDA_VISIBLE_DEVICES"] = device
        before = oom_kills()
        with storage_errors(run.folder / "log.txt"), open(run.folder / "log.txt", "ab") as log:
            popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(handle,),
                cwd=workspace.root,
                env=environment,
            )
        return cls(run, popen, before, Usage(run.folder / "usage.jsonl", popen.pid, device))

    @property
    def pid(self) -> int:
        return self.popen.pid

    def has_ended(self) -> bool:
        """Whether the process has ended. What is left of its process group is then ended too."""
        if time.monotonic() - self._looked_at > _MEMORY_SECONDS:
            self._looked_at = time.monotonic()
            self.peak_rss = max(self.peak_rss, tree_rss_bytes(self.pid))
            if self.usage is not None:
                self.usage.look()
        if self.popen.returncode is None and hasattr(os, "waitid"):
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return False
            # Not reaped yet: until it is, the number of its group cannot be given to anybody else.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        return self.popen.poll() is not None

    def conclude(self) -> str:
        """Store what became of the run if its process did not do so itself; a word about it for the log."""
        from workbench.training.runner import clear_leftovers

        stored = (read_json(self.run.folder / "status.json") or {}).get("state")
        if stored != "running":
            clear_leftovers(self.run)  # of a process that was killed after its last word
            return str(stored)
        if self.popen.returncode == TAKEN and self.run.is_alive():
            return "another process has it"
        state, error = self._verdict()
        self.run.transition(("running",), state, error=error)
        return f"{state} ({_how(self.popen.returncode)})"

    def _verdict(self) -> tuple[State, dict[str, str] | None]:
        code = self.popen.returncode
        if code < 0 and self.run.stop_requested():
            return "stopped", None
        if code == -signal.SIGKILL and oom_kills() > self.oom_kills_before:
            return "failed", self._out_of_memory()
        if code < 0:
            return "interrupted", {
                "kind": "Interrupted",
                "message": f"The run's process was ended from outside: {_how(code)}.",
                "hint": f"Go on from its last checkpoint: workbench resume {self.run.id}",
            }
        tail = "\n".join(self.run.log(8192).splitlines()[-LOG_LINES:])
        message = f"The run's process ended without a result: {_how(code)}. The end of its log:\n{tail}"
        return "failed", RunError(message, f"Read the log: {self.run.folder / 'log.txt'}").as_dict()

    def _out_of_memory(self) -> dict[str, str]:
        total: Any = psutil.virtual_memory().total
        message = (
            "The machine ran out of memory and its kernel ended the run: it was last seen with "
            f"{self.peak_rss / 2**30:.1f} GiB at most, and the machine has {total / 2**30:.1f} GiB."
        )
        return OutOfMemoryError(message, OutOfMemoryError.WHAT_TO_LOWER).as_dict()


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
