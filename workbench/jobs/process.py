"""The process of one run: how it starts, and what its end means."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass

from workbench.errors import EXIT_ALREADY_RUNNING, OutOfMemoryError, RunError
from workbench.files import read_json, storage_errors
from workbench.jobs.start_worker import WORKER_DEVICES, module_environment
from workbench.jobs.usage import Usage
from workbench.jobs.variables import DEVICES, merge, read_variables, visible_devices
from workbench.locks import Lock
from workbench.runs.recovery import clear_leftovers
from workbench.runs.run import LOCK_VARIABLE, Run, State
from workbench.system.cgroups import memory_of, oom_kills
from workbench.system.machine import tree_rss_bytes
from workbench.system.opening import open_log
from workbench.workspace import Workspace

LOG_LINES = 15  # of the log, in the message of a run whose process ended without storing a result
# Of the memory that it may use, what a run must have been seen with to be what the kernel killed for lack of memory.
MIN_SHARE = 0.2
_MEMORY_SECONDS = 0.5  # between two measurements of a process's memory


@dataclass
class RunProcess:
    """A run's process, as the worker that started it sees it.

    Attributes:
        run: the run.
        popen: its process.
        oom_kills_before: how many processes the kernel had killed for lack of memory when it started.
        usage: writes what it uses of the machine.
        peak_rss: most memory in bytes that it was seen with.
    """

    run: Run
    popen: subprocess.Popen[bytes]
    oom_kills_before: int
    usage: Usage | None = None
    peak_rss: int = 0
    _measured_at: float = 0.0

    @classmethod
    def start(cls, run: Run, command: list[str], lock: Lock, device: str | None, workspace: Workspace) -> RunProcess:
        """Start the process. It leads a process group of its own, and holds the run's lock from its first moment.

        Args:
            run: the run, claimed.
            command: the process's arguments.
            lock: the run's lock, held by this process; the new process inherits it.
            device: the GPU that it may use, as ``CUDA_VISIBLE_DEVICES`` names it; None for no restriction.
            workspace: the run's workspace.

        Raises:
            OSError: the system cannot start a process now.
        """
        handle = lock.fileno()
        own = read_variables(run.variables_file)
        device = visible_devices(device, own)
        environment = {
            **merge(os.environ, own),
            **module_environment(),
            "WORKBENCH_HOME": str(workspace.root),
            "PYTHONUNBUFFERED": "1",
            LOCK_VARIABLE: str(handle),
            WORKER_DEVICES: f"={os.environ[DEVICES]}" if DEVICES in os.environ else "",
        }
        if device is not None:
            environment["CUDA_VISIBLE_DEVICES"] = device
        before = oom_kills()  # in the group of this process, which the new one belongs to
        with storage_errors(run.log_file), open_log(run.log_file) as log:
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
        with contextlib.suppress(OSError):
            run.variables_file.unlink(missing_ok=True)
        return cls(run, popen, before, Usage(run.usage_file, popen.pid, device))

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self.popen.pid

    def has_ended(self) -> bool:
        """Return whether the process has ended, and kill what is left of its process group."""
        if time.monotonic() - self._measured_at > _MEMORY_SECONDS:
            self._measured_at = time.monotonic()
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
        """Store what became of the run if its process did not do so itself; return a summary for the log."""
        stored = (read_json(self.run.status_file) or {}).get("state")
        if stored != "running":
            clear_leftovers(self.run)  # of a process that was killed after it had stored its result
            return str(stored)
        if self.popen.returncode == EXIT_ALREADY_RUNNING and self.run.is_alive():
            return "another process has it"
        state, error = self._verdict()
        self.run.transition(("running",), state, error=error)
        return f"{state} ({_how(self.popen.returncode)})"

    def _verdict(self) -> tuple[State, dict[str, str] | None]:
        code = self.popen.returncode
        if code < 0 and self.run.stop_requested():
            return "stopped", None
        kills = oom_kills() - self.oom_kills_before
        if code == -signal.SIGKILL and kills > 0 and self.peak_rss >= MIN_SHARE * memory_of().total_bytes:
            return "failed", self._out_of_memory()
        if code < 0:
            return "interrupted", {
                "kind": "Interrupted",
                "message": f"The run's process was ended by another program: {_how(code)}." + _kills_meanwhile(kills),
                "hint": f"Resume it from its last checkpoint: workbench resume {self.run.id}",
            }
        tail = "\n".join(self.run.log(8192).splitlines()[-LOG_LINES:])
        message = f"The run's process ended without a result: {_how(code)}. The end of its log:\n{tail}"
        return "failed", RunError(message, f"Read the log: {self.run.folder / 'log.txt'}").as_dict()

    def _out_of_memory(self) -> dict[str, str]:
        memory = memory_of()
        whose = "its group (a container, or a limit of the system) may use" if memory.is_limited else "the machine has"
        message = (
            "Memory ran out and the kernel killed the run. The run was seen with "
            f"{self.peak_rss / 2**30:.2f} GiB, and {whose} {memory.total_bytes / 2**30:.2f} GiB."
        )
        return OutOfMemoryError(message, OutOfMemoryError.WHAT_TO_LOWER).as_dict()


def _kills_meanwhile(kills: int) -> str:
    """Say that memory ran out while the run worked, which may or may not be why it was ended."""
    return f" Meanwhile memory ran out, and the kernel killed {kills} of all processes." if kills > 0 else ""


def _how(code: int) -> str:
    """Describe how a process ended, from its return code."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
