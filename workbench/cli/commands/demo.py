"""``workbench demo``: two real runs on the same reviews, full fine-tuning and LoRA, done once and reused afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.commands.dashboard import serve_dashboard
from workbench.cli.output import Json, console, download_bars, print_result
from workbench.cli.progress import show_progress
from workbench.cli.views import show_comparison
from workbench.runs.run import Run
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.compare.results import Comparison

PRESETS = ("demo-full", "demo-lora")


def demo_command(
    serve: Annotated[bool, typer.Option(help="Serve the dashboard afterwards.")] = True,
    port: Annotated[int, typer.Option(help="The dashboard's port.")] = 8501,
    as_json: Json = False,
) -> None:
    """Fine-tune MiniLM in two ways, and compare the runs.

    It classifies film reviews, with full fine-tuning and with LoRA. Then it serves the dashboard.
    """
    runs, comparison = run_demo(Workspace.current(), quiet=as_json)
    print_result(comparison, as_json, lambda: show_comparison(comparison, runs))
    if serve and not as_json:
        serve_dashboard(Workspace.current(), "127.0.0.1", port, [], open_browser=False)


def run_demo(workspace: Workspace, quiet: bool = False) -> tuple[list[Run], Comparison]:
    """Do the two runs of the demo, or find them, and compare them.

    Args:
        workspace: where they run.
        quiet: print nothing but download bars.

    Raises:
        FetchError: the model or the data cannot be downloaded.
        RunError: a run has not succeeded.
    """
    from workbench.check import load_spec
    from workbench.compare.differences import compare
    from workbench.data.catalogue.sources import fetch_dataset, fetch_model

    with download_bars() as progress:
        spec = load_spec(PRESETS[0])
        fetch_model(spec.model.source, workspace, progress)
        fetch_dataset(spec.data.train, workspace, progress)
    runs = [_find(name, workspace) or _run(name, workspace, quiet) for name in PRESETS]
    return runs, compare(runs)


def _find(name: str, workspace: Workspace) -> Run | None:
    from workbench.check import load_spec, resolve
    from workbench.jobs.running import find_succeeded

    return find_succeeded(resolve(load_spec(name), workspace).spec, workspace)


def _run(name: str, workspace: Workspace, quiet: bool) -> Run:
    from workbench.check import load_spec
    from workbench.jobs import submit
    from workbench.jobs.running import require_success

    run = submit(load_spec(name), workspace)
    if not quiet:
        console.print(f"[bold]{name}[/]  ({run.id})")
    show_progress(run, workspace, quiet)
    require_success(run)
    return run
