"""What a spec will cost, asked before it is launched: a trial of it in a process of its own, like a run's.

    found = estimate(spec, workspace)               # waits, some 20 to 60 seconds
    start(spec, workspace); status(spec, workspace)   # comes back at once: for pages that ask again

A trial is known by its spec: two pages that ask for the same one share it, and one that was reloaded finds it again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.errors import RunError
from workbench.files import read_json, storage_errors, write_json, write_text
from workbench.jobs.process import RunProcess
from workbench.jobs.queue import with_absolute_paths
from workbench.runs import estimates
from workbench.runs.documents import Estimate
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.workspace import Workspace

OLD_SECONDS = 3600.0  # after which the folder of a trial that nobody asked about again is removed
_processes: dict[Path, RunProcess] = {}  # that this process has started and must wait for

OnProgress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class EstimateStatus:
    """What is known of a spec's cost at this moment.

    Attributes:
        state: ``unknown`` before anybody has asked; ``failed`` and ``stopped`` can be begun again.
        estimate: the last that was made, in whatever state.
        progress: what the trial does now: ``{"phase", "done", "total"}``.
        error: why it failed: ``{"kind", "message", "hint"}``.
    """

    state: Literal["unknown", "measuring", "done", "failed", "stopped"]
    estimate: Estimate | None = None
    progress: dict[str, Any] | None = None
    error: dict[str, str] | None = None


def resolved_spec(spec: RunSpec, workspace: Workspace, confined: bool = False) -> RunSpec:
    """The spec as a run of it will have it. Raises SpecError with every problem."""
    from workbench.check import resolve

    return with_absolute_paths(resolve(spec, workspace, confined).spec, workspace, confined)


def start(spec: RunSpec, workspace: Workspace, confined: bool = False) -> None:
    """Start a trial of ``spec``, if none is at work on it.

    Raises:
        SpecError: the spec cannot be run.
        StorageError: the disk is full or read-only.
    """
    asked = resolved_spec(spec, workspace, confined)
    _sweep(workspace)
    run = Run(_folder(asked, workspace))
    with storage_errors(run.folder):
        run.folder.mkdir(parents=True, exist_ok=True)
    lock = run.lock_for("estimating")
    if not lock.acquire():
        return
    try:
        _empty(run.folder)
        write_text(run.folder / "spec.yaml", asked.to_yaml())
        write_json(run.folder / "status.json", {"state": "running", "confined": confined})
        command = [sys.executable, "-m", "workbench.training.estimate", str(run.folder)]
        _processes[run.folder] = RunProcess.start(run, command, lock, None, workspace)
    finally:
        lock.detach()


def status(spec: RunSpec, workspace: Workspace, confined: bool = False) -> EstimateStatus:
    """What is known of the cost of ``spec`` now. Raises SpecError."""
    asked = resolved_spec(spec, workspace, confined)
    run = Run(_folder(asked, workspace))
    process = _processes.get(run.folder)
    if process is not None and process.has_ended():
        del _processes[run.folder]
    found = estimates.find(asked, workspace)
    if run.is_alive():
        return EstimateStatus("measuring", found, (read_json(run.folder / "status.json") or {}).get("progress"))
    status = read_json(run.folder / "status.json")
    state = status.get("state") if isinstance(status, dict) else None
    if state in ("failed", "running"):
        return EstimateStatus("failed", found, error=(status or {}).get("error") or _vanished(run))
    return EstimateStatus("stopped" if state == "stopped" else "done" if found else "unknown", found)


def cancel(spec: RunSpec, workspace: Workspace, confined: bool = False) -> None:
    """Ask the trial of ``spec`` to end. Nothing happens when there is none."""
    run = Run(_folder(resolved_spec(spec, workspace, confined), workspace))
    if run.is_alive():
        run.request_stop()


def estimate(
    spec: RunSpec,
    workspace: Workspace,
    confined: bool = False,
    on_progress: OnProgress = lambda progress: None,
    poll: float = 0.2,
) -> Estimate:
    """Do a few real steps of ``spec`` in a process of their own, and say what the whole run will cost.

    Args:
        spec: what would be run.
        workspace: where.
        confined: only data and models inside the workspace's uploads are allowed.
        on_progress: called with the trial's progress now and then.
        poll: seconds between looks.

    Raises:
        SpecError: the spec cannot be run.
        RunError: the trial failed, as the run would.
    """
    start(spec, workspace, confined)
    try:
        while (trial := status(spec, workspace, confined)).state == "measuring":
            on_progress(trial.progress or {"phase": "starting"})
            time.sleep(poll)
    except BaseException:  # ended by the keyboard: what was started ends too
        cancel(spec, workspace, confined)
        raise
    if trial.state == "done" and trial.estimate is not None:
        return trial.estimate
    error = trial.error or {"message": "The estimate was stopped.", "hint": "Ask again."}
    raise RunError(f"The trial of this spec failed: {error['message']}", error.get("hint", ""))


def _folder(asked: RunSpec, workspace: Workspace) -> Path:
    return workspace.root / estimates.FOLDER / f"trial-{estimates.fingerprint(asked)}"


def _vanished(run: Run) -> dict[str, str]:
    lines = "\n".join(run.log(4096).splitlines()[-5:])
    return {
        "kind": "RunError",
        "message": f"The trial's process ended without a result; memory may have run out. The end of its log: {lines}",
        "hint": "Lower training.batch_size or data.max_length, or choose a smaller model, and try again.",
    }


def _empty(folder: Path) -> None:
    """Remove all that an earlier trial has left, but for its lock."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != "run.lock":
            path.unlink(missing_ok=True)


def _sweep(workspace: Workspace) -> None:
    """Remove the folders of trials that have ended long ago."""
    for folder in (workspace.root / estimates.FOLDER).glob("trial-*"):
        with contextlib.suppress(OSError):
            if time.time() - os.stat(folder).st_mtime > OLD_SECONDS and not Run(folder).is_alive():
                shutil.rmtree(folder, ignore_errors=True)
