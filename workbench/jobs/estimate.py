"""What a spec will cost, before it runs: a profiling run of a few real steps, in a process of its own.

    estimate(spec, workspace)                           # waits 20 to 60 seconds
    start(spec, workspace); status(spec, workspace)     # return at once: for pages that poll

A profiling run is identified by its spec: two pages that ask for the same spec share it, and a reloaded page finds it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.errors import RunError
from workbench.files import read_json, storage_errors, write_json, write_text
from workbench.jobs.process import RunProcess
from workbench.runs import estimates
from workbench.runs.documents import Estimate
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.workspace import Workspace

KEEP_SECONDS = 3600.0  # after which the folder of a profiling run that ended is removed
_processes: dict[Path, RunProcess] = {}  # those that this process has started and must reap

OnProgress = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class EstimateStatus:
    """What is known of a spec's cost at this moment.

    Attributes:
        state: ``unknown`` before the first request; after ``failed`` and ``stopped`` it can be started again.
        estimate: the last one made, in whatever state.
        progress: progress of the profiling run: ``{"phase", "done", "total"}``.
        error: why it failed: ``{"kind", "message", "hint"}``.
    """

    state: Literal["unknown", "measuring", "done", "failed", "stopped"]
    estimate: Estimate | None = None
    progress: dict[str, Any] | None = None
    error: dict[str, str] | None = None


def resolved_spec(spec: RunSpec, workspace: Workspace, confined: bool = False) -> RunSpec:
    """Return a spec as its run will have it.

    Args:
        spec: as a user wrote it.
        workspace: where it would run.
        confined: only data and models inside the workspace's uploads are allowed.

    Raises:
        SpecError: with every problem.
    """
    from workbench.check import resolve, with_absolute_paths

    return with_absolute_paths(resolve(spec, workspace, confined).spec, workspace, confined)


def start(spec: RunSpec, workspace: Workspace, confined: bool = False) -> None:
    """Start a profiling run, if there is none of this spec.

    Args:
        spec: what would run.
        workspace: where.
        confined: only data and models inside the workspace's uploads are allowed.

    Raises:
        SpecError: the spec cannot run.
        DataError: its data cannot be used.
        FetchError: the hub does not have its data, or cannot be reached.
        StorageError: the disk is full or read-only.
    """
    from workbench.check import require_usable, resolve

    require_usable(resolve(spec, workspace, confined), workspace, confined)
    resolved = resolved_spec(spec, workspace, confined)
    _remove_old(workspace)
    run = Run(_folder(resolved, workspace))
    with storage_errors(run.folder):
        run.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = run.lock_for("estimating")
    if not lock.acquire():
        return
    try:
        _empty(run.folder)
        write_text(run.spec_file, resolved.to_yaml())
        write_json(run.status_file, {"state": "running", "confined": confined})
        command = [sys.executable, "-m", "workbench.training.estimate", str(run.folder)]
        _processes[run.folder] = RunProcess.start(run, command, lock, None, workspace)
    finally:
        lock.detach()


def status(spec: RunSpec, workspace: Workspace, confined: bool = False) -> EstimateStatus:
    """Return what is known of a spec's cost now.

    Args:
        spec: what would run.
        workspace: where.
        confined: only data and models inside the workspace's uploads are allowed.

    Raises:
        SpecError: the spec cannot run.
    """
    resolved = resolved_spec(spec, workspace, confined)
    run = Run(_folder(resolved, workspace))
    process = _processes.get(run.folder)
    if process is not None and process.has_ended():
        del _processes[run.folder]
    last = estimates.find(resolved, workspace)
    if run.is_alive():
        progress = run.stored_status().progress
        return EstimateStatus("measuring", last, progress.as_dict() if progress else None)
    document = read_json(run.status_file)
    state = document.get("state") if isinstance(document, dict) else None
    if state in ("failed", "running"):
        return EstimateStatus("failed", last, error=(document or {}).get("error") or _vanished(run))
    return EstimateStatus("stopped" if state == "stopped" else "done" if last else "unknown", last)


def cancel(spec: RunSpec, workspace: Workspace, confined: bool = False) -> None:
    """Ask the profiling run of a spec to end, if there is one.

    Args:
        spec: what would run.
        workspace: where.
        confined: only data and models inside the workspace's uploads are allowed.
    """
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
    """Do a few real steps of a spec in a process of their own, and estimate what the whole run will cost.

    Args:
        spec: what would run.
        workspace: where.
        confined: only data and models inside the workspace's uploads are allowed.
        on_progress: called with ``{"phase", "done", "total"}`` now and then.
        poll: seconds between checks.

    Raises:
        SpecError: the spec cannot run.
        RunError: the profiling run failed, as the run would.
    """
    start(spec, workspace, confined)
    try:
        while (now := status(spec, workspace, confined)).state == "measuring":
            on_progress(now.progress or {"phase": "starting"})
            time.sleep(poll)
    except BaseException:  # Ctrl-C: what was started ends too
        cancel(spec, workspace, confined)
        raise
    if now.state == "done" and now.estimate is not None:
        return now.estimate
    error = now.error or {"message": "The estimate was stopped.", "hint": "Start it again."}
    raise RunError(f"The profiling run of this spec failed: {error['message']}", error.get("hint", ""))


def _folder(resolved: RunSpec, workspace: Workspace) -> Path:
    return workspace.root / estimates.FOLDER / f"trial-{estimates.fingerprint(resolved)}"


def _vanished(run: Run) -> dict[str, str]:
    lines = "\n".join(run.log(4096).splitlines()[-5:])
    return {
        "kind": "RunError",
        "message": "The profiling run's process ended without a result; memory may have run out. The end of its log: "
        f"{lines}",
        "hint": "Lower training.batch_size or data.max_length, or choose a smaller model, and try again.",
    }


def _empty(folder: Path) -> None:
    """Remove everything that an earlier profiling run has left, except its lock."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != "run.lock":
            path.unlink(missing_ok=True)


def _remove_old(workspace: Workspace) -> None:
    """Remove the folders of profiling runs that ended long ago."""
    for folder in (workspace.root / estimates.FOLDER).glob("trial-*"):
        with contextlib.suppress(OSError):
            if time.time() - os.stat(folder).st_mtime > KEEP_SECONDS and not Run(folder).is_alive():
                shutil.rmtree(folder, ignore_errors=True)
