"""The worker, started and ended from other processes: the command line, the dashboard, a notebook."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from workbench.locks import Lock
from workbench.runs.run import LOCK_VARIABLE
from workbench.system.machine import is_same_process
from workbench.system.opening import open_log
from workbench.workspace import Workspace

IDLE_SECONDS = 300.0  # a worker that another process started ends after this long without work
STARTING_SECONDS = 5.0  # after starting a worker, no second one is started for this long
MAX_STARTING_SECONDS = 60.0  # where workers end at once: the wait doubles from one to the next
MAX_LOG_BYTES = 4 * 2**20  # of worker.log; a larger one becomes worker.log.1
WORKER_DEVICES = "WORKBENCH_WORKER_DEVICES"  # in the process of a run: the worker's own CUDA_VISIBLE_DEVICES

_starting_until: dict[Path, float] = {}  # by workspace: when a worker that this process started must hold its lock
_failures: dict[Path, int] = {}  # by workspace: workers in a row that did not hold their lock by then


def worker_lock(workspace: Workspace, holder: Mapping[str, object] | None = None) -> Lock:
    """Return the lock that the worker of a workspace holds while it lives.

    Args:
        workspace: whose worker.
        holder: the note about the process that acquires it.
    """
    return Lock(workspace.root / "worker.lock", holder=holder)


def ensure_worker(
    workspace: Workspace, slots: int | None = None, idle_seconds: float = IDLE_SECONDS, wait: float = 0.0
) -> bool:
    """Start a detached worker if none is running. Starting two does no harm.

    Args:
        workspace: whose queue.
        slots: concurrent runs; by default one per GPU, or one.
        idle_seconds: the worker ends after this long without work.
        wait: seconds to wait until it holds its lock.

    Returns:
        Whether one was started.
    """
    lock, root = worker_lock(workspace), workspace.root
    if lock.is_held():
        _failures.pop(root, None)
        return False
    if time.monotonic() < _starting_until.get(root, 0):
        return False
    command = [sys.executable, "-m", "workbench.jobs", str(workspace.root), "--idle", str(idle_seconds)]
    command += ["--slots", str(slots)] if slots is not None else []
    with _open_log(workspace) as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # it outlives the terminal and the dashboard
            cwd=root,
            env=_environment(workspace),
        )
    failures = _failures[root] = _failures.get(root, -1) + 1
    patience = min(MAX_STARTING_SECONDS, STARTING_SECONDS * 2 ** min(failures, 10))
    _starting_until[root] = time.monotonic() + min(patience, idle_seconds)
    threading.Thread(target=process.wait, daemon=True).start()  # leaves no zombie behind in a long-lived dashboard
    deadline = time.monotonic() + wait
    while not lock.is_held() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return True


def _open_log(workspace: Workspace) -> IO[bytes]:
    """Open the worker's log; where it cannot be written, a worker without a log is better than none."""
    log = workspace.root / "worker.log"
    try:
        with contextlib.suppress(FileNotFoundError):
            if log.stat().st_size > MAX_LOG_BYTES:
                log.replace(log.with_suffix(".log.1"))
        return open_log(log)
    except OSError:
        return open(os.devnull, "wb")


def _environment(workspace: Workspace) -> dict[str, str]:
    """Return the environment of a worker, also where the process of a run starts it: that one has a GPU of its own."""
    environment = {**os.environ, "WORKBENCH_HOME": str(workspace.root), **module_environment()}
    environment.pop(LOCK_VARIABLE, None)
    devices = environment.pop(WORKER_DEVICES, None)
    if devices is not None:
        environment.pop("CUDA_VISIBLE_DEVICES", None)
        environment |= {"CUDA_VISIBLE_DEVICES": devices.removeprefix("=")} if devices else {}
    return environment


def stop_worker(workspace: Workspace, wait: float = 10.0) -> bool:
    """Ask the worker to end; its runs continue.

    Args:
        workspace: whose worker.
        wait: seconds to wait for its end.

    Returns:
        Whether no worker is left.
    """
    lock = worker_lock(workspace)
    holder = lock.holder()
    if holder and is_same_process(holder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(holder["pid"]), signal.SIGTERM)
    deadline = time.monotonic() + wait
    while lock.is_held() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not lock.is_held()


def module_environment() -> dict[str, str]:
    """Return the ``PYTHONPATH`` with which a process in another folder finds this very package."""
    here = str(Path(__file__).resolve().parents[2])
    if here in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        return {}
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != here]
    return {"PYTHONPATH": os.pathsep.join([here, *others])}
