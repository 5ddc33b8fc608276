"""The worker: one process per workspace that starts queued runs and looks after them.

    workbench worker                 # in the foreground
    python -m workbench.jobs DIR     # what ensure_worker starts: detached, ends after some minutes without work

The worker survives the dashboard, and the runs survive the worker: each is a process group of its own. A later worker
finds them by their locks and counts them as its own until they end.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from types import FrameType

from workbench.errors import BusyError, StorageError, WorkbenchError
from workbench.jobs.process import RunProcess
from workbench.jobs.reconciling import reconcile
from workbench.jobs.start_worker import worker_lock
from workbench.jobs.waiting import StatusScan, has_work, is_paused, sweeps_folder
from workbench.runs.leftovers import clean_leftovers
from workbench.runs.run import Run
from workbench.system.machine import gpu_names, process_identity
from workbench.system.terminal import say, silence
from workbench.workspace import Workspace

SCAN_SECONDS = 0.5  # between two scans of the folders while nothing happens
RETRY_SECONDS = 5.0  # until a run that could not be started is tried again
SAME_SECONDS = 60.0  # during which the same trouble is reported once

Command = Callable[[Run], list[str]]


def run_command(run: Run) -> list[str]:
    """Return the command that executes a run.

    Args:
        run: the run.
    """
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
    """Process the queue here until SIGTERM or SIGINT; runs that are running then continue without the worker.

    Args:
        workspace: whose queue.
        slots: concurrent runs; by default one per GPU, or one on a machine without.
        until_empty: end when nothing is queued or running.
        poll: seconds between checks of the running processes.
        idle_seconds: end after this long without work; None for never.
        command: returns the command of a run's process.
        say: receives a line about each event; prints it by default.

    Raises:
        BusyError: another worker is running for this workspace; the message says which.
    """
    Worker(workspace, slots, command, say or _print).run(until_empty, poll, idle_seconds)


def _print(line: str) -> None:
    """Print a line. Neither a full disk nor a reader who has gone (``workbench worker | head``) ends the worker."""
    try:
        say(f"{datetime.now():%Y-%m-%d %H:%M:%S}  {line}")
    except BrokenPipeError:
        silence()  # for the rest of the process
    except (OSError, ValueError):
        pass


class Worker:
    """One worker. ``run`` does everything; the other methods are its steps.

    Args:
        workspace: whose queue.
        slots: concurrent runs; None for one per GPU, or one on a machine without.
        command: returns the command of a run's process.
        say: receives a line about each event.
    """

    def __init__(self, workspace: Workspace, slots: int | None, command: Command, say: Callable[[str], None]) -> None:
        self.workspace = workspace
        self.devices: list[str | None] = list(gpu_names()) or [None]
        self.slots = max(1, slots if slots is not None else len(self.devices))
        self.command = command
        self.say = say
        self.children: dict[int, RunProcess] = {}  # by slot
        self.adopted: dict[str, int | None] = {}  # runs alive that another process started: id and its slot
        self._statuses = StatusScan(workspace)
        self._reported: dict[str, float] = {}  # troubles, and when they were last reported
        self._retry_at: dict[str, float] = {}  # by run
        self._stopping = threading.Event()
        note = {**process_identity(), "since": datetime.now().isoformat(timespec="seconds"), "slots": self.slots}
        self._lock = worker_lock(workspace, holder=note)

    def run(self, until_empty: bool = False, poll: float = 0.1, idle_seconds: float | None = None) -> None:
        """Work until a signal, or until there is nothing to do.

        Args:
            until_empty: end when nothing is queued or running.
            poll: seconds between checks of the running processes.
            idle_seconds: end after this long without work; None for never.
        """
        self._acquire_lock()
        try:
            with _on_signals(self._stop):
                self.say(f"The worker of {self.workspace.root} has started with {self.slots} slot(s).")
                self._clean_up()
                while self._loop(until_empty, poll, idle_seconds) and self._more_work():
                    pass
                self.reap()  # what ended meanwhile
        finally:
            self._lock.release()
        left = [child.run.id for child in self.children.values()] + list(self.adopted)
        text = "The worker has ended." + (f" These runs continue without it: {', '.join(left)}." if left else "")
        if self._stopping.is_set() and has_work(self.workspace):
            text += " What waits starts when somebody looks at the queue. To prevent that: workbench queue --pause"
        self.say(text)

    def _acquire_lock(self) -> None:
        if not self._lock.acquire():
            raise BusyError(
                f"Another worker is already running for {self.workspace.root}: {_describe(self._lock.holder())}.",
                "It runs what is queued; there is nothing to do.",
            )

    def _stop(self) -> None:
        self._stopping.set()

    def _loop(self, until_empty: bool, poll: float, idle_seconds: float | None) -> bool:
        """Work until there is nothing to do (True), or until a signal (False)."""
        busy_at, scanned_at = time.monotonic(), float("-inf")
        while not self._stopping.is_set():
            ended = self.reap()
            now = time.monotonic()
            if ended or now - scanned_at >= SCAN_SECONDS:
                if not self._lock.is_current():
                    self.say("The workspace was removed or replaced: its queue is no longer this worker's.")
                    return False
                waiting = self.step()
                scanned_at = now
                if waiting or self.children or self.adopted:
                    busy_at = now
                elif until_empty or (idle_seconds is not None and now - busy_at >= idle_seconds):
                    return True
            self._stopping.wait(poll)
        return False

    def _more_work(self) -> bool:
        """Release the lock, then look once more: who queued a run just before saw a worker and started none."""
        self._lock.release()
        return not is_paused(self.workspace) and has_work(self.workspace) and self._lock.acquire()

    # -- steps -----------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Look at the folders once: advance sweeps, reconcile, adopt and start runs.

        Returns:
            Whether runs are still waiting.
        """
        sweeps = self._advance_sweeps()
        queued, running = self._statuses.scan()
        own = {child.run.id for child in self.children.values()}
        self._look_after([run for run in running if run.id not in own])
        if is_paused(self.workspace):
            return False
        free = self.free_slots()
        waiting = len(queued)
        now = time.monotonic()
        for run in queued:
            if not free:
                break
            if now < self._retry_at.get(run.id, 0.0):
                continue
            with self._survive(run):
                self._retry_at[run.id] = now + RETRY_SECONDS  # if it cannot be started
                started = self.start(run, free[0])
                del self._retry_at[run.id]
                if started:
                    free.pop(0)
                    waiting -= 1
        return waiting > 0 or sweeps > 0

    def _clean_up(self) -> None:
        """Remove what processes that were killed have left half made or half deleted."""
        try:
            freed = clean_leftovers(self.workspace)
        except (OSError, WorkbenchError) as error:
            self._report("cleaning up", error)
            return
        if freed:
            self.say(f"Removed {freed / 1e6:.1f} MB that was left half made or half deleted.")

    def _advance_sweeps(self) -> int:
        """Advance every running sweep by one step; return how many there are."""
        if not sweeps_folder(self.workspace).is_dir():
            return 0
        from workbench.jobs.sweep_driver import advance_all  # late: most workspaces have none

        try:
            return advance_all(self.workspace, self.slots, self._say_once)
        except (OSError, WorkbenchError) as error:
            self._report("The sweeps wait", error)
            return 0

    def free_slots(self) -> list[int]:
        """Return the slots that no run occupies. An adopted run whose slot is unknown takes the last free one."""
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
                    adopted[run.id] = run.stored_status().slot
                    if run.id not in self.adopted:
                        self.say(f"{run.id} is already running; it keeps its slot.")
                else:
                    state = reconcile(run)
                    if state:
                        self.say(f"{run.id} no longer has a process: {state}.")
        self.adopted = adopted

    def start(self, run: Run, slot: int) -> bool:
        """Claim a queued run and start its process.

        Args:
            run: a queued run.
            slot: a free one.

        Returns:
            False when another process holds the run's lock, so that the slot stays free.
        """
        lock = run.lock_for("starting")
        if not lock.acquire():
            return False
        try:
            now = time.time()
            if not run.transition(("queued",), "running", claimed=now, process=None, error=None, slot=slot):
                return True  # stopped or claimed meanwhile; the next scan shows it
            device = self.devices[slot % len(self.devices)]
            try:
                self.children[slot] = RunProcess.start(run, self.command(run), lock, device, self.workspace)
            except OSError as error:
                message = f"The run's process could not be started: {error}."
                document = {"kind": "Run", "message": message, "hint": "Free memory or processes, then resume the run."}
                run.transition(("running",), "failed", error=document)
                self.say(f"{run.id}: {message}")
                return True
            self.say(f"{run.id} has started as process {self.children[slot].pid} in slot {slot}.")
            return True
        finally:
            lock.detach()

    def reap(self) -> bool:
        """Conclude the processes that have ended; return whether there were any."""
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
        """Keep the worker alive when one run cannot be read or written, whatever its files contain."""
        try:
            yield
        except Exception as error:
            self._report(run.id, error)

    def _report(self, what: str, error: Exception) -> None:
        """Report a trouble; what fails for the same reason as another (a full disk) is not reported for a minute."""
        known = isinstance(error, OSError | WorkbenchError)
        text = f"{what}: {error if known else f'{type(error).__name__}: {error}'}"
        self._say_once(text, error.reason if isinstance(error, StorageError) else "")

    def _say_once(self, line: str, reason: str = "") -> None:
        """Say a line, unless it was said in the last minute, or another with the same reason was."""
        now, key = time.monotonic(), reason or line
        if now - self._reported.get(key, float("-inf")) < SAME_SECONDS:
            return
        self._reported = {key: at for key, at in self._reported.items() if now - at < SAME_SECONDS} | {key: now}
        self.say(line)


@contextlib.contextmanager
def _on_signals(act: Callable[[], None]) -> Iterator[None]:
    """Call ``act`` on SIGTERM and SIGINT, where this is the main thread, which receives them."""
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


def _describe(holder: Mapping[str, object]) -> str:
    """Describe the process that holds the worker's lock."""
    host = holder.get("host")
    where = "" if host in (None, socket.gethostname()) else f" on {host}"
    return f"process {holder.get('pid', 'unknown')}{where}, since {holder.get('since', 'some time')}"
