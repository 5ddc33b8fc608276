"""Runs from a notebook: into the queue, looked at while they work, and found again when the notebook is run again."""

from __future__ import annotations

import contextlib
import signal
from typing import Any

from workbench.check import resolve
from workbench.errors import RunError, WorkbenchError
from workbench.files import storage_errors
from workbench.jobs import submit, watch
from workbench.runs.query import list_runs
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.teach.sizes import is_test
from workbench.workspace import Workspace


def run(spec: dict[str, Any] | RunSpec, quiet: bool = False) -> Run:
    """Do a run, or find it again if one of the same spec has succeeded in this workspace.

    Args:
        spec: as in a YAML file.
        quiet: print nothing.

    Raises:
        SpecError: the spec has problems; all of them are named.
        RunError: the run did not succeed.
    """
    workspace = Workspace.current()
    wanted = resolve(spec if isinstance(spec, RunSpec) else RunSpec.parse(spec), workspace).spec
    found = _find(wanted, workspace)
    if found is None:
        found = submit(wanted, workspace, start=not is_test())
        if is_test():
            _do_here(found)
        for snapshot in watch(found, workspace):
            for row in snapshot.rows if not quiet else ():
                _tell(row)
        status = found.status()
        if status["state"] != "succeeded":
            error = status.get("error") or {}
            raise RunError(
                f"The run {found.id} is {status['state']}: {error.get('message', '')}", error.get("hint", "")
            )
    if not quiet:
        print(f"{wanted.name or found.id}: " + ", ".join(f"{k} {v:.3f}" for k, v in figures(found).items()))
    return found


def _do_here(run: Run) -> None:
    """Do a queued run in this process: at the tests' scale starting another one takes longer than the run itself."""
    from workbench.training.runner import run_folder

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    log = run.folder / "log.txt"
    with storage_errors(log), open(log, "a", encoding="utf-8") as said:
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                run_folder(run.folder)  # a failure is told by the run's status
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)


def figures(run: Run) -> dict[str, float]:
    """The metrics of a finished run by name, without their intervals."""
    metrics = (run.report() or {}).get("metrics", {})
    return {name: float(entry["value"]) for name, entry in metrics.items() if entry.get("value") is not None}


def _find(wanted: RunSpec, workspace: Workspace) -> Run | None:
    for summary in list_runs(workspace):
        if summary["state"] == "succeeded":
            with contextlib.suppress(WorkbenchError):  # a damaged run is done again
                found = Run.open(summary["id"], workspace)
                if found.spec() == wanted:
                    return found
    return None


def _tell(row: dict[str, Any]) -> None:
    told = {name: value for name, value in row.items() if name.startswith("eval/")}
    if told:
        print(f"step {row['step']:>5}: " + ", ".join(f"{name} {value:.3f}" for name, value in told.items()))
