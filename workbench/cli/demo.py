"""The demo: two real runs on the same reviews, full fine-tuning and LoRA. Done once, reused afterwards."""

from __future__ import annotations

from workbench.check import load_spec, resolve
from workbench.cli import views
from workbench.cli.output import console, download_bars
from workbench.compare.differences import Comparison, compare
from workbench.data.catalogue.sources import fetch_dataset, fetch_model
from workbench.jobs import submit
from workbench.jobs.running import find_succeeded, require_success
from workbench.runs.run import Run
from workbench.workspace import Workspace

PRESETS = ("demo-full", "demo-lora")


def run_demo(workspace: Workspace, quiet: bool = False) -> tuple[list[Run], Comparison]:
    """Do the two runs of the demo, or find them, and compare them.

    Args:
        workspace: where they run.
        quiet: print nothing but download bars.

    Raises:
        FetchError: the model or the data cannot be downloaded.
        RunError: a run has not succeeded.
    """
    with download_bars() as progress:
        spec = load_spec(PRESETS[0])
        fetch_model(spec.model.source, workspace, progress)
        fetch_dataset(spec.data.train, workspace, progress)
    runs = [_find(name, workspace) or _run(name, workspace, quiet) for name in PRESETS]
    return runs, compare(runs)


def _find(name: str, workspace: Workspace) -> Run | None:
    return find_succeeded(resolve(load_spec(name), workspace).spec, workspace)


def _run(name: str, workspace: Workspace, quiet: bool) -> Run:
    run = submit(load_spec(name), workspace)
    if not quiet:
        console.print(f"[bold]{name}[/]  ({run.id})")
    views.show_progress(run, workspace, quiet)
    require_success(run)
    return run
