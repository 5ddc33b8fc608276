"""What became of a run whose process vanished."""

from __future__ import annotations

from workbench.files import read_json
from workbench.runs.run import Run, State


def reconcile(run: Run) -> State | None:
    """Store what became of a run that says ``running`` while no process holds its lock.

    It becomes ``interrupted`` when a process had begun on it, ``queued`` when none had (its worker ended first), and
    ``stopped`` when it was asked to stop. A run that is alive or in another state is left alone.

    Args:
        run: the run.

    Returns:
        The new state; None when there was nothing to do.
    """
    if not _says_running(run):
        return None
    lock = run.lock_for("reconciling")
    if not lock.acquire():
        return None
    try:
        status = read_json(run.status_file)  # with the lock held no other process changes its state
        if not isinstance(status, dict) or status.get("state") != "running":
            return None
        state = run.state_without_process(run.stored_status())
        return state if run.transition(("running",), state, error=_error(run, state)) else None
    finally:
        lock.release()


def reconciled_state(run: Run) -> State:
    """Reconcile a run and return its state.

    Args:
        run: the run.
    """
    reconcile(run)
    return run.state


def _says_running(run: Run) -> bool:
    status = read_json(run.status_file)
    return isinstance(status, dict) and status.get("state") == "running"


def _error(run: Run, state: State) -> dict[str, str] | None:
    if state != "interrupted":
        return None
    return {
        "kind": "Interrupted",
        "message": "The run's process vanished: it was killed, or the machine was restarted.",
        "hint": f"Resume it from its last checkpoint: workbench resume {run.id}",
    }
