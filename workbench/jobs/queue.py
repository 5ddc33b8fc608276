"""What people do with the queue: submit, stop, cancel, resume, move, pause, and ask why something waits.

Each of these changes a run's ``status.json`` under its lock, from a state that it names to another; of two that try at
once one succeeds, and the other looks again.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from workbench.errors import BusyError, RequestError
from workbench.files import read_json, storage_errors
from workbench.machine import is_same_process
from workbench.runs.run import RESUMABLE, Run, State
from workbench.spec import RunSpec
from workbench.workspace import Workspace

PAUSED = "queue.paused"  # a file in the workspace while nothing is to be started
_BETWEEN = 1e-3  # seconds between two runs that were queued while the clock stood still or went back


def submit(spec: RunSpec, workspace: Workspace, confined: bool = False, start: bool = True) -> Run:
    """Check a spec, put it at the end of the queue, and start the worker if none runs.

    Args:
        spec: what to run. Relative file names in it count from the current folder, and are made absolute.
        workspace: where.
        confined: only data and models inside the workspace's uploads are allowed.
        start: whether to start the worker.

    Raises:
        SpecError: the spec cannot be run; ``problems`` holds all of them. Nothing was queued.
        StorageError: the disk is full or read-only. Nothing was queued.
    """
    from workbench.check import resolve
    from workbench.jobs.worker import ensure_worker

    whole = resolve(spec, workspace, confined).spec
    run = Run.create(with_absolute_paths(whole, workspace, confined), workspace, _next_order(workspace), confined)
    if start:
        ensure_worker(workspace)
    return run


def with_absolute_paths(spec: RunSpec, workspace: Workspace, confined: bool) -> RunSpec:
    """The spec with full names of files, model folders and runs: the worker runs elsewhere, and later."""
    from workbench.data.catalogue.entries import catalogue
    from workbench.data.uploads import confined_path

    for part in ("train", "valid", "test"):
        given = getattr(spec.data, part)
        if given is None or (part == "train" and given in catalogue().datasets):
            continue
        path = confined_path(workspace, given) if confined else Path(given).expanduser().absolute()
        setattr(spec.data, part, str(path))
    kind, _, folder = spec.model.source.partition(":")
    if kind == "path":
        base = workspace.root if confined else Path.cwd()
        spec.model.source = f"path:{base / Path(folder).expanduser()}"
    if kind == "run":  # in full: a later run may have the same name
        spec.model.source = f"run:{Run.open(folder, workspace).id}"
    return spec


def queue(workspace: Workspace) -> list[Run]:
    """The queued runs, the next one first."""
    return [run for _, _, run in _queued(workspace)]


def _queued(workspace: Workspace) -> list[tuple[float, str, Run]]:
    found = []
    for run in Run.all(workspace):
        status = read_json(run.folder / "status.json")
        if isinstance(status, dict) and status.get("state") == "queued":
            found.append((order_of(status), run.id, run))
    return sorted(found, key=lambda item: item[:2])


def order_of(status: dict[str, Any]) -> float:
    """The place in the queue that a status holds; 0, the front, when it holds none."""
    order = status.get("order")
    return float(order) if isinstance(order, int | float) else 0.0


def _next_order(workspace: Workspace) -> float:
    """A place behind everything that is queued, whatever the clock says."""
    queued = _queued(workspace)
    return max(time.time(), queued[-1][0] + _BETWEEN) if queued else time.time()


def move(run: Run, position: int) -> list[Run]:
    """Put a queued run at ``position`` of the queue (0 is next). Returns the queue as it then is.

    Raises:
        RequestError: the run is not queued (any more).
    """
    workspace = run.workspace
    others = [item for item in _queued(workspace) if item[1] != run.id]
    position = min(max(position, 0), len(others))
    if not others:
        order = time.time()
    elif position == 0:
        order = others[0][0] - 1
    elif position == len(others):
        order = others[-1][0] + 1
    else:
        before, after = others[position - 1][0], others[position][0]
        order = (before + after) / 2
        if not before < order < after:  # no number is left between the two: give the ones behind more room
            for place, (_, _, other) in enumerate(others[position:], start=2):
                other.transition(("queued",), "queued", order=before + place)
            order = before + 1
    if not run.transition(("queued",), "queued", order=order):
        raise RequestError(f"The run {run.id} is {run.state}: only a queued run can be moved.")
    return queue(workspace)


def pause(workspace: Workspace) -> None:
    """Start no more runs until :func:`unpause`; those that run go on."""
    file = workspace.root / PAUSED
    with storage_errors(file):
        file.touch()


def unpause(workspace: Workspace, start: bool = True) -> None:
    """Start runs again; with ``start`` the worker, too, if none runs and something waits."""
    from workbench.jobs.worker import ensure_worker, has_work

    (workspace.root / PAUSED).unlink(missing_ok=True)
    if start and has_work(workspace):
        ensure_worker(workspace)


def is_paused(workspace: Workspace) -> bool:
    """Whether no more runs are started."""
    return (workspace.root / PAUSED).exists()


def queue_status(workspace: Workspace) -> dict[str, Any]:
    """What runs next, and why it waits.

    Returns:
        ``{"paused", "worker", "running": [ids], "queued": [ids, the next one first], "why"}``; ``why`` is a sentence.
    """
    from workbench.jobs.worker import worker_status

    worker = worker_status(workspace)
    queued = [run.id for run in queue(workspace)]
    paused = is_paused(workspace)
    return {
        "paused": paused,
        "worker": worker["running"],
        "running": worker["active"],
        "queued": queued,
        "why": _why(paused, worker, len(queued)),
    }


def _why(paused: bool, worker: dict[str, Any], queued: int) -> str:
    active, slots = len(worker["active"]), worker["slots"] or 1
    if paused:
        return "The queue is paused: what runs goes on, and nothing is started." + ("" if queued else " Nothing waits.")
    if not queued:
        return "Nothing waits: a run that is submitted starts at once." if active < slots else "Nothing waits."
    if active >= slots:
        places = "one run at a time" if slots == 1 else f"{slots} runs at a time"
        return f"This machine does {places}: the first in the queue starts when a run ends."
    if not worker["running"]:
        return "No worker is at work: it starts with the next run that is submitted, or with `workbench worker`."
    return "The first in the queue is about to start."


def cancel(run: Run) -> bool:
    """Take a queued run out of the queue (it can be resumed later). False, and nothing done, when it is not queued."""
    return run.transition(("queued",), "stopped")


def stop(run: Run, kill_after: float | None = None, grace: float = 5.0, poll: float = 0.05, wait: float = 0.0) -> State:
    """Stop a run, whatever it is doing: queued, being started, or running.

    A running run is asked to write a checkpoint and end. A run that has ended is left as it is.

    Args:
        run: the run.
        kill_after: seconds after which its process is terminated if it has not ended; None for never. Only the very
            process that holds the run's lock is: one that merely has its number is not touched.
        grace: seconds between SIGTERM and SIGKILL.
        poll: seconds between looks.
        wait: seconds to wait for the run to end by itself, where it is never killed.

    Returns:
        The state that the run is in now: ``running`` when it has been asked and has not ended yet.

    Raises:
        BusyError: the process does not end, or cannot be told from a foreign one.
    """
    if cancel(run):
        return "stopped"
    reconcile(run)
    if run.state != "running":
        return "stopped" if cancel(run) else run.state
    run.request_stop()
    if cancel(run):  # it went back to the queue between the two looks
        return "stopped"
    if _ended(run, wait if kill_after is None else kill_after, poll):
        return _reconciled_state(run)
    if kill_after is None:
        return run.state
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        _signal(run, signal_number)
        if _ended(run, grace, poll):
            return _reconciled_state(run)
    raise BusyError(f"The process of run {run.id} does not end: {run.process_lock().holder()}.", "End it by hand.")


def _ended(run: Run, seconds: float, poll: float) -> bool:
    deadline = time.monotonic() + seconds
    while run.is_alive():
        if time.monotonic() >= deadline:
            return False
        time.sleep(poll)
    return True


def _reconciled_state(run: Run) -> State:
    reconcile(run)
    return run.state


def _signal(run: Run, number: signal.Signals) -> None:
    """Send a signal to the run's process group, if it is proven to be the run's."""
    holder = run.process_lock().holder()  # written by the process itself, and read while it holds the lock
    if not run.is_alive():
        return
    if not is_same_process(holder):
        raise BusyError(
            f"The run {run.id} is alive, but it is not proven that process {holder.get('pid')} is its own: "
            "no process was ended.",
            "End it by hand, on the machine where it runs.",
        )
    send_to_group(int(holder["pid"]), number)


def send_to_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to ``pid``'s process group where it leads one, otherwise to it and its children."""
    try:
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
            return
        process = psutil.Process(pid)
        for member in [*process.children(recursive=True), process]:
            member.send_signal(number)
    except (ProcessLookupError, psutil.NoSuchProcess):
        pass


def resume(run: Run, workspace: Workspace, start: bool = True) -> Run:
    """Put a stopped, failed or interrupted run at the end of the queue; it goes on from its last checkpoint.

    Raises:
        BusyError: the run is queued or running already.
        RequestError: the run has succeeded: there is nothing left to do.
        SpecError: the run's spec is missing, damaged or foreign.
    """
    from workbench.jobs.worker import ensure_worker

    reconcile(run)
    state = run.state
    if state in ("queued", "running"):
        raise BusyError(f"The run {run.id} is {state} already.", f"See: workbench show {run.id}")
    if state not in RESUMABLE:
        raise RequestError(
            f"The run {run.id} has {state}: only a run that is {', '.join(RESUMABLE)} can be resumed.",
            "To train more, submit a new run whose model is run:" + run.id,
        )
    run.spec()
    if run.is_alive():
        raise BusyError(f"The process of run {run.id} has not ended yet.", "Wait a moment, then try again.")
    run.clear_stop()
    changes = {"order": _next_order(workspace), "error": None, "process": None, "claimed": None}
    if not run.transition(RESUMABLE, "queued", **changes):
        raise BusyError(f"The run {run.id} is {run.state} now: somebody else was faster.")
    if start:
        ensure_worker(workspace)
    return run


def reconcile(run: Run, error_of: Callable[[Run, State], dict[str, str] | None] | None = None) -> State | None:
    """Store what became of a run that says ``running`` while nobody holds its lock.

    ``interrupted`` when a process had begun on it, ``queued`` when none had (its worker ended first), ``stopped`` when
    it was asked to stop. Nothing is done to a run that is alive or says something else.

    Args:
        run: the run.
        error_of: makes the stored error from the run and the new state; by default one that says what to do.

    Returns:
        The new state; None when nothing was to be done.
    """
    status = read_json(run.folder / "status.json")
    if not isinstance(status, dict) or status.get("state") != "running":
        return None
    lock = run.lock_for("settling")
    if not lock.acquire():
        return None
    try:
        status = read_json(run.folder / "status.json")  # with the lock in hand nobody else changes its state
        if not isinstance(status, dict) or status.get("state") != "running":
            return None
        state = run.state_without_process(run.stored_status())
        error = (error_of or _error_of)(run, state)
        return state if run.transition(("running",), state, error=error) else None
    finally:
        lock.release()


def _error_of(run: Run, state: State) -> dict[str, str] | None:
    if state != "interrupted":
        return None
    return {
        "kind": "Interrupted",
        "message": "The run's process vanished: it was killed, or the machine was restarted.",
        "hint": f"Go on from its last checkpoint: workbench resume {run.id}",
    }
