"""The worker: one process per workspace that starts queued runs and looks after them.

    workbench worker                 # in the foreground
    python -m workbench.jobs DIR     # what ensure_worker starts: detached, ends by itself after some idle minutes

The worker survives the dashboard, and the runs survive the worker: each is a process group of its own. A worker that
comes later finds them by their locks and counts them as its own until they end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from workbench.errors import BusyError, WorkbenchError
from workbench.files import Lock, read_json, storage_errors
from workbench.jobs.process import RunProcess
from workbench.jobs.queue import is_paused, order_of, queue, reconcile
from workbench.machine import gpu_names, is_same_process, process_identity
from workbench.runs.run import Run
from workbench.workspace import Workspace

IDLE_SECONDS = 300.0  # a worker that somebody else started ends after so long without work
STARTING_SECONDS = 5.0  # for so long after starting a worker, no second one is started beside it
SCAN_SECONDS = 0.5  # between two looks at the folders while nothing happens

Command = Callable[[Run], list[str]]


def run_command(run: Run) -> list[str]:
    """The process of a run."""
    return [sys.executable, "-m", "workbench", "run-folder", str(run.folder)]


def run_worker(
    workspace: Workspace,
    slots: int | None = None,
    until_empty: bool = False,
    poll: float = 0.1,
    idle_seconds: float | None = None,
    command: Command = run_command,
    say: Callable[[str], None] | None = None,
) -> None:
    """Run the queue in this process until told to stop by SIGTERM or SIGINT; running runs then go on without it.

    Args:
        workspace: whose queue.
        slots: how many runs at once; one per GPU if left out, or one on a machine without.
        until_empty: end when nothing is queued or running.
        poll: seconds between looks at the running processes.
        idle_seconds: end after so long without work; None for never.
        command: makes the command of a run's process.
        say: is told what happens, a line at a time; prints it by default.

    Raises:
        BusyError: another worker has this workspace; the message says which.
    """
    Worker(workspace, slots, command, say or _print).run(until_empty, poll, idle_seconds)


def _print(line: str) -> None:
    print(f"{datetime.now():%Y-%m-%d %H:%M:%S}  {line}", flush=True)


@dataclass
class _Folders:
    """What the stored states of all runs are, reading again only the ``status.json`` that have changed."""

    workspace: Workspace
    _seen: dict[str, tuple[tuple[int, int, int], str, float]] = field(default_factory=dict)

    def look(self) -> tuple[list[Run], list[Run]]:
        """The queued runs, the next one first, and the runs that say ``running``."""
        fresh = {}
        for run in Run.all(self.workspace):
            with contextlib.suppress(OSError):  # deleted between two looks
                stat = os.stat(run.folder / "status.json")
                signature = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
                known = self._seen.get(run.id)
                fresh[run.id] = known if known and known[0] == signature else (signature, *self._read(run))
        self._seen = fresh
        queued = sorted((order, name) for name, (_, state, order) in fresh.items() if state == "queued")
        running = sorted(name for name, (_, state, _) in fresh.items() if state == "running")
        runs = self.workspace.runs
        return [Run(runs / name) for _, name in queued], [Run(runs / name) for name in running]

    @staticmethod
    def _read(run: Run) -> tuple[str, float]:
        status = read_json(run.folder / "status.json")
        return (str(status.get("state")), order_of(status)) if isinstance(status, dict) else ("", 0.0)


class Worker:
    """One worker. ``run`` does the work; the rest are its steps.

    Args: see :func:`run_worker`.
    """

    def __init__(self, workspace: Workspace, slots: int | None, command: Command, say: Callable[[str], None]) -> None:
        self.workspace = workspace
        self.devices: list[str | None] = list(gpu_names()) or [None]
        self.slots = max(1, slots if slots is not None else len(self.devices))
        self.command = command
        self.say = say
        self.children: dict[int, RunProcess] = {}  # by slot
        self.adopted: dict[str, int | None] = {}  # runs alive that another process started: id and its slot
        self._folders = _Folders(workspace)
        self._stopping = threading.Event()
        note = {**process_identity(), "since": datetime.now().isoformat(timespec="seconds"), "slots": self.slots}
        self._lock = Lock(workspace.root / "worker.lock", holder=note)

    def run(self, until_empty: bool = False, poll: float = 0.1, idle_seconds: float | None = None) -> None:
        """Work until told to stop, or until there is nothing to do (see :func:`run_worker`)."""
        self._take_lock()
        try:
            with _on_signals(self._stop):
                self.say(f"The worker of {self.workspace.root} has started with {self.slots} slot(s).")
                while self._loop(until_empty, poll, idle_seconds) and self._more_work():
                    pass
                self.reap()  # what ended meanwhile
        finally:
            self._lock.release()
        left = [child.run.id for child in self.children.values()] + list(self.adopted)
        self.say("The worker has ended." + (f" These runs go on without it: {', '.join(left)}." if left else ""))

    def _take_lock(self) -> None:
        if not self._lock.acquire():
            raise BusyError(
                f"Another worker has {self.workspace.root}: {_told(self._lock.holder())}.",
                "It takes what is queued; there is nothing to do.",
            )

    def _stop(self) -> None:
        self._stopping.set()

    def _loop(self, until_empty: bool, poll: float, idle_seconds: float | None) -> bool:
        """Work until there is nothing to do (True), or until told to stop (False)."""
        busy_at, looked_at = time.monotonic(), float("-inf")
        while not self._stopping.is_set():
            ended = self.reap()
            now = time.monotonic()
            if ended or now - looked_at >= SCAN_SECONDS:
                waiting = self.step()
                looked_at = now
                if waiting or self.children or self.adopted:
                    busy_at = now
                elif until_empty or (idle_seconds is not None and now - busy_at >= idle_seconds):
                    return True
            self._stopping.wait(poll)
        return False

    def _more_work(self) -> bool:
        """Give the lock back, then look once more: whoever queued a run just before saw a worker and started none."""
        self._lock.release()
        return not is_paused(self.workspace) and has_work(self.workspace) and self._lock.acquire()

    # -- steps -----------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Look at the folders once: sweeps, reconcile, adopt, start. Returns whether runs are still waiting."""
        sweeps = self._advance_sweeps()
        queued, running = self._folders.look()
        own = {child.run.id for child in self.children.values()}
        self._look_after([run for run in running if run.id not in own])
        if is_paused(self.workspace):
            return False
        free = self.free_slots()
        waiting = len(queued)
        for run in queued:
            if not free:
                break
            with self._survive(run):
                if self.start(run, free[0]):
                    free.pop(0)
                    waiting -= 1
        return waiting > 0 or sweeps > 0

    def _advance_sweeps(self) -> int:
        """One step of every sweep that goes on. Returns how many there are."""
        if not (self.workspace.root / "sweeps").is_dir():
            return 0
        from workbench.jobs.sweep_driver import advance_all  # late: most workspaces have none

        return advance_all(self.workspace, self.slots, self.say)

    def free_slots(self) -> list[int]:
        """Slots that no run occupies. An adopted run whose slot is not known takes the last free one."""
        taken = set(self.children) | {slot for slot in self.adopted.values() if slot is not None}
        free = [slot for slot in range(self.slots) if slot not in taken]
        unknown = sum(slot is None or slot >= self.slots for slot in self.adopted.values())
        return free[: max(0, len(free) - unknown)]

    def _look_after(self, running: list[Run]) -> None:
        """Adopt the runs that are alive, and store what became of those that are not."""
        adopted: dict[str, int | None] = {}
        for run in running:
            with self._survive(run):
                if run.is_alive():
                    slot = (read_json(run.folder / "status.json") or {}).get("slot")
                    adopted[run.id] = slot if isinstance(slot, int) else None
                    if run.id not in self.adopted:
                        self.say(f"{run.id} is running already; it keeps its slot.")
                else:
                    state = reconcile(run)
                    if state:
                        self.say(f"{run.id} had no process any more: {state}.")
        self.adopted = adopted

    def start(self, run: Run, slot: int) -> bool:
        """Claim a queued run and start its process. False when somebody else was faster."""
        lock = run.lock_for("starting")
        if not lock.acquire():
            return False
        try:
            now = time.time()
            if not run.transition(("queued",), "running", claimed=now, process=None, error=None, slot=slot):
                return True  # stopped, or taken; the next look tells
            device = self.devices[slot % len(self.devices)]
            try:
                self.children[slot] = RunProcess.start(run, self.command(run), lock, device, self.workspace)
            except OSError as error:
                message = f"The run's process could not be started: {error}."
                told = {"kind": "Run", "message": message, "hint": "Free memory or processes, then resume the run."}
                run.transition(("running",), "failed", error=told)
                self.say(f"{run.id}: {message}")
                return True
            self.say(f"{run.id} has started as process {self.children[slot].pid} in slot {slot}.")
            return True
        finally:
            lock.detach()

    def reap(self) -> bool:
        """Look at the children; take in those that have ended. Returns whether there were any."""
        ended = False
        for slot, child in list(self.children.items()):
            if not child.has_ended():
                continue
            ended = True
            del self.children[slot]
            with self._survive(child.run):
                self.say(f"{child.run.id} has ended: {child.conclude()}.")
        return ended

    @contextlib.contextmanager
    def _survive(self, run: Run) -> Iterator[None]:
        """One run that cannot be read or written must not end the worker."""
        try:
            yield
        except (OSError, WorkbenchError) as error:
            self.say(f"{run.id}: {error}")


@contextlib.contextmanager
def _on_signals(act: Callable[[], None]) -> Iterator[None]:
    """Call ``act`` at SIGTERM and SIGINT, where this thread can be told of them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        act()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# -- from other processes ------------------------------------------------------------------------------------------


def has_work(workspace: Workspace) -> bool:
    """Whether runs are queued, or a sweep has trials left."""
    if queue(workspace):
        return True
    if not (workspace.root / "sweeps").is_dir():
        return False
    from workbench.jobs.sweeps import active

    return bool(active(workspace))


def worker_status(workspace: Workspace) -> dict[str, Any]:
    """``{"running", "pid", "host", "since", "slots", "queued", "active"}``; ``active`` are the ids of runs alive."""
    holder = Lock(workspace.root / "worker.lock").holder()
    held = bool(holder) or Lock(workspace.root / "worker.lock").is_held()
    queued, running = _Folders(workspace).look()
    return {
        "running": held,
        **{key: holder.get(key) for key in ("pid", "host", "since", "slots")},
        "queued": len(queued),
        "active": [run.id for run in running if run.is_alive()],
    }


_starting_until: dict[Path, float] = {}  # by workspace: when a worker that this process started must have its lock


def ensure_worker(
    workspace: Workspace, slots: int | None = None, idle_seconds: float = IDLE_SECONDS, wait: float = 0.0
) -> bool:
    """Start a detached worker if none runs. Returns whether one was started; to start two does no harm.

    Args:
        workspace: whose queue.
        slots: how many runs at once; by default one per GPU, or one.
        idle_seconds: the worker ends after so long without work.
        wait: seconds to wait until it holds the lock.
    """
    lock = Lock(workspace.root / "worker.lock")
    if lock.is_held() or time.monotonic() < _starting_until.get(workspace.root, 0):
        return False
    command = [sys.executable, "-m", "workbench.jobs", str(workspace.root), "--idle", str(idle_seconds)]
    command += ["--slots", str(slots)] if slots is not None else []
    log = workspace.root / "worker.log"
    with storage_errors(log), open(log, "ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # it outlives the terminal and the dashboard
            cwd=workspace.root,
            env={**os.environ, "WORKBENCH_HOME": str(workspace.root), **module_environment()},
        )
    _starting_until[workspace.root] = time.monotonic() + min(STARTING_SECONDS, idle_seconds)
    threading.Thread(target=process.wait, daemon=True).start()  # leaves no zombie behind in a long-lived dashboard
    deadline = time.monotonic() + wait
    while not lock.is_held() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return True


def module_environment() -> dict[str, str]:
    """``PYTHONPATH`` for a process in another folder, so that it finds this very package."""
    here = str(Path(__file__).resolve().parents[2])
    if here in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        return {}
    others = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part and part != here]
    return {"PYTHONPATH": os.pathsep.join([here, *others])}


def stop_worker(workspace: Workspace, wait: float = 10.0) -> bool:
    """Tell the worker to end; its runs go on. Returns whether none is left after ``wait`` seconds."""
    lock = Lock(workspace.root / "worker.lock")
    holder = lock.holder()
    if holder and is_same_process(holder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(holder["pid"]), signal.SIGTERM)
    deadline = time.monotonic() + wait
    while lock.is_held() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not lock.is_held()


def _told(holder: dict[str, Any]) -> str:
    host = holder.get("host")
    where = "" if host in (None, socket.gethostname()) else f" on {host}"
    return f"process {holder.get('pid', 'unknown')}{where}, since {holder.get('since', 'some time')}"
