"""A run from its spec to its result, for callers that wait: the demo, ``workbench.run`` and the course."""

from __future__ import annotations

import contextlib
import signal

from workbench.errors import RunError, WorkbenchError
from workbench.files import storage_errors
from workbench.runs.query import list_runs
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.system.opening import private_opener
from workbench.workspace import Workspace

_ENDINGS = {"failed": "failed", "stopped": "was stopped", "interrupted": "was interrupted"}


def find_succeeded(resolved: RunSpec, workspace: Workspace) -> Run | None:
    """Find the newest successful run of exactly this spec.

    Args:
        resolved: a spec with every default filled in.
        workspace: where to look.

    Returns:
        The run; None when there is none. A run whose spec cannot be read is skipped.
    """
    for summary in list_runs(workspace):
        if summary.state == "succeeded":
            with contextlib.suppress(WorkbenchError):
                run = Run.open(summary.id, workspace)
                if run.spec() == resolved:
                    return run
    return None


def require_success(run: Run) -> None:
    """Raise the error of a run that has ended without success.

    Args:
        run: a run that has ended.

    Raises:
        RunError: its state is not ``succeeded``; the message holds the run's own error.
    """
    status = run.status()
    if status.state != "succeeded":
        message, hint = (status.error.message, status.error.hint) if status.error else ("", "")
        what = f"The run {run.id} {_ENDINGS.get(status.state, f'is {status.state}')}"
        raise RunError(f"{what}: {message}" if message else f"{what}.", hint)


def run_in_this_process(run: Run) -> None:
    """Execute a queued run here, without a worker; what it prints goes to its log.

    For tiny runs, for which starting a process takes longer than the run itself. A failure is stored in the run's
    status.

    Args:
        run: a queued run.
    """
    from workbench.training.runner import run_folder

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    path = run.log_file
    with storage_errors(path), open(path, "a", encoding="utf-8", opener=private_opener) as log:
        try:
            with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                run_folder(run.folder)
        finally:
            run.variables_file.unlink(missing_ok=True)
            for number, handler in handlers.items():
                signal.signal(number, handler)
