"""What users do with the queue: submit, stop, cancel, resume, move, pause.

Each of these changes a run's ``status.json`` under its lock, from one named state to another; of two that try at once
one succeeds, and the other reads the state again.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping

import psutil

from workbench.errors import BusyError, RequestError
from workbench.files import storage_errors, write_json
from workbench.jobs import start_worker
from workbench.jobs.reconciling import reconcile, reconciled_state
from workbench.jobs.variables import own_variables
from workbench.jobs.waiting import PAUSED, has_work, next_order, queue, queued
from workbench.runs.run import RESUMABLE, Run, State
from workbench.spec import RunSpec
from workbench.system.machine import is_same_process
from workbench.workspace import Workspace


def submit(
    spec: RunSpec,
    workspace: Workspace,
    confined: bool = False,
    start: bool = True,
    variables: Mapping[str, str] | None = None,
) -> Run:
    """Check a spec, put it at the end of the queue, and start the worker if none is running.

    Args:
        spec: what to run. Relative paths in it count from the current folder, and are made absolute.
        workspace: where.
        confined: only data and models inside the workspace's uploads are allowed.
        start: whether to start the worker.
        variables: environment variables for the run's process; by default those of this process, as far as
            :mod:`workbench.jobs.variables` lists them.

    Returns:
        The queued run.

    Raises:
        SpecError: the spec cannot run; ``problems`` holds all of them. Nothing was queued.
        DataError: its data cannot be used. Nothing was queued.
        FetchError: the hub does not have its data, or cannot be reached. Nothing was queued.
        StorageError: the disk is full or read-only. Nothing was queued.
    """
    from workbench.check import require_usable, resolve, with_absolute_paths

    resolved = resolve(spec, workspace, confined)
    require_usable(resolved, workspace, confined)
    complete = with_absolute_paths(resolved.spec, workspace, confined)
    variables = own_variables() if variables is None else variables
    run = Run.create(complete, workspace, next_order(workspace), confined, variables)
    if start:
        start_worker.ensure_worker(workspace)
    return run


def move(run: Run, position: int) -> list[Run]:
    """Move a queued run.

    Args:
        run: the run.
        position: the new one, from 0, which is next; one past the end means the end.

    Returns:
        The queue as it then is.

    Raises:
        RequestError: the run is not queued (any more).
    """
    workspace = run.workspace
    others = [item for item in queued(workspace) if item[1] != run.id]
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
        if not before < order < after:  # no number is left between the two: spread out those behind
            for steps, (_, _, other) in enumerate(others[position:], start=2):
                other.transition(("queued",), "queued", order=before + steps)
            order = before + 1
    if not run.transition(("queued",), "queued", order=order):
        raise RequestError(f"The run {run.id} is {run.state}: only a queued run can be moved.")
    return queue(workspace)


def pause(workspace: Workspace) -> None:
    """Start no more runs until :func:`unpause`; those that are running continue.

    Args:
        workspace: whose queue.
    """
    file = workspace.root / PAUSED
    with storage_errors(file):
        file.touch()


def unpause(workspace: Workspace, start: bool = True) -> None:
    """Start runs again.

    Args:
        workspace: whose queue.
        start: whether to start the worker, if none is running and something waits.
    """
    (workspace.root / PAUSED).unlink(missing_ok=True)
    if start and has_work(workspace):
        start_worker.ensure_worker(workspace)


def cancel(run: Run) -> bool:
    """Take a queued run out of the queue. It can be resumed later.

    Args:
        run: the run.

    Returns:
        Whether it was queued; otherwise nothing was done.
    """
    cancelled = run.transition(("queued",), "stopped")
    if cancelled:
        run.variables_file.unlink(missing_ok=True)
    return cancelled


def stop(run: Run, kill_after: float | None = None, grace: float = 5.0, poll: float = 0.05, wait: float = 0.0) -> State:
    """Stop a run, whether it is queued, being started, or running.

    A running run is asked to write a checkpoint and end. A run that has ended is left as it is.

    Args:
        run: the run.
        kill_after: seconds after which its process is terminated if it has not ended; None for never. Only the process
            that holds the run's lock is terminated, not one that merely has its number.
        grace: seconds between SIGTERM and SIGKILL.
        poll: seconds between checks.
        wait: seconds to wait for the run to end, where it is never killed.

    Returns:
        The run's state now: ``running`` when it has been asked and has not ended yet.

    Raises:
        BusyError: the process does not end, or may be another program's.
    """
    if cancel(run):
        return "stopped"
    reconcile(run)
    if run.state != "running":
        return "stopped" if cancel(run) else run.state
    run.request_stop()
    if cancel(run):  # it went back to the queue between the two looks
        return "stopped"
    if _has_ended(run, wait if kill_after is None else kill_after, poll):
        return reconciled_state(run)
    if kill_after is None:
        return run.state
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        _signal(run, signal_number)
        if _has_ended(run, grace, poll):
            return reconciled_state(run)
    raise BusyError(
        f"The process of run {run.id} does not end: {run.process_lock().holder()}.", "End the process yourself."
    )


def _has_ended(run: Run, seconds: float, poll: float) -> bool:
    """Wait up to this many seconds for the end of a run's process."""
    deadline = time.monotonic() + seconds
    while run.is_alive():
        if time.monotonic() >= deadline:
            return False
        time.sleep(poll)
    return True


def _signal(run: Run, number: signal.Signals) -> None:
    """Send a signal to the run's process group, if it is proven to be the run's."""
    holder = run.process_lock().holder()  # written by the process itself, and read while it holds the lock
    if not run.is_alive():
        return
    if not is_same_process(holder):
        raise BusyError(
            f"The run {run.id} is alive, but process {holder.get('pid')} cannot be shown to be its own: "
            "no process was ended.",
            "End it yourself, on the machine where it runs.",
        )
    send_to_group(int(holder["pid"]), number)


def send_to_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process group, or to a process and its children where it leads none.

    Args:
        pid: the process.
        number: the signal.
    """
    try:
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
            return
        process = psutil.Process(pid)
        for member in [*process.children(recursive=True), process]:
            member.send_signal(number)
    except (ProcessLookupError, psutil.NoSuchProcess):
        pass


def resume(run: Run, workspace: Workspace, start: bool = True, variables: Mapping[str, str] | None = None) -> Run:
    """Put a stopped, failed or interrupted run at the end of the queue; it continues from its last checkpoint.

    Args:
        run: the run.
        workspace: where it is.
        start: whether to start the worker if none is running.
        variables: see :func:`submit`.

    Returns:
        The run.

    Raises:
        BusyError: the run is already queued or running.
        RequestError: the run has succeeded: there is nothing left to do.
        SpecError: the run's spec is missing, damaged or of a newer version.
    """
    state = reconciled_state(run)
    if state in ("queued", "running"):
        raise BusyError(f"The run {run.id} is already {state}.", f"See: workbench show {run.id}")
    if state not in RESUMABLE:
        raise RequestError(
            f"The run {run.id} has {state}: only a run that is {', '.join(RESUMABLE)} can be resumed.",
            "To train more, submit a new run whose model is run:" + run.id,
        )
    run.spec()
    if run.is_alive():
        raise BusyError(f"The process of run {run.id} has not ended yet.", "Wait a moment, then try again.")
    run.clear_stop()
    write_json(run.variables_file, own_variables() if variables is None else dict(variables))
    changes = {"order": next_order(workspace), "error": None, "process": None, "claimed": None}
    if not run.transition(RESUMABLE, "queued", **changes):
        raise BusyError(f"The run {run.id} is {run.state} now: another process changed it first.")
    if start:
        start_worker.ensure_worker(workspace)
    return run
