"""The demo: two real runs, full fine-tuning and LoRA, on the same reviews; done once, reused afterwards."""

from __future__ import annotations

import contextlib

from workbench.check import load_spec
from workbench.cli import views
from workbench.cli.output import console, download_bars
from workbench.compare.differences import Comparison, compare
from workbench.data.catalogue.sources import fetch_dataset, fetch_model
from workbench.errors import WorkbenchError
from workbench.jobs import submit
from workbench.runs.query import list_runs
from workbench.runs.run import Run
from workbench.workspace import Workspace

PRESETS = ("demo-full", "demo-lora")


def run_demo(workspace: Workspace, quiet: bool = False) -> tuple[list[Run], Comparison]:
    """The two runs of the demo, done now or found again, and their comparison.

    Raises:
        FetchError: model or data cannot be fetched.
        RunError: a run has not succeeded.
    """
    with download_bars() as progress:
        spec = load_spec(PRESETS[0])
        fetch_model(spec.model.source, workspace, progress)
        fetch_dataset(spec.data.train, workspace, progress)
    runs = [_find(name, workspace) or _do(name, workspace, quiet) for name in PRESETS]
    return runs, compare(runs)


def _find(name: str, workspace: Workspace) -> Run | None:
    """The newest succeeded run of a preset, as long as it still is what the preset says."""
    from workbench.check import resolve

    wanted = resolve(load_spec(name), workspace).spec
    for summary in list_runs(workspace):
        if summary["state"] != "succeeded" or summary.get("title") != name:
            continue
        with contextlib.suppress(WorkbenchError):  # a damaged run is done again
            run = Run.open(summary["id"], workspace)
            if run.spec() == wanted:
                return run
    return None


def _do(name: str, workspace: Workspace, quiet: bool) -> Run:
    from workbench.errors import RunError

    run = submit(load_spec(name), workspace)
    if not quiet:
        console.print(f"[bold]{name}[/]  ({run.id})")
    views.show_progress(run, workspace, quiet)
    status = run.status()
    if status["state"] != "succeeded":
        error = status.get("error") or {}
        raise RunError(f"The run {run.id} is {status['state']}: {error.get('message', '')}", error.get("hint", ""))
    return run
