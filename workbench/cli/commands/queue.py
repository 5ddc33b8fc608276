"""``workbench queue`` and ``workbench worker``: what runs next, and the process that runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.output import Json, console, print_result, table
from workbench.errors import RequestError
from workbench.i18n import _
from workbench.runs.run import Run
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.jobs import QueueStatus


def worker_command(
    slots: Annotated[
        int | None, typer.Option(min=1, help="Concurrent runs. Default: one per GPU, or 1 without a GPU.")
    ] = None,
    until_empty: Annotated[bool, typer.Option(help="End when the queue is empty.")] = False,
) -> None:
    """Process the queue in this terminal.

    Usually a worker starts automatically in the background.
    """
    from workbench.jobs import run_worker

    run_worker(Workspace.current(), slots, until_empty)


def queue_command(
    pause: Annotated[
        bool, typer.Option("--pause", help="Start no more runs. Those that are running continue.")
    ] = False,
    unpause: Annotated[bool, typer.Option("--continue", help="Start runs again.")] = False,
    first: Annotated[str | None, typer.Option(metavar="RUN", help="Move this run to the front.")] = None,
    last: Annotated[str | None, typer.Option(metavar="RUN", help="Move this run to the end.")] = None,
    cancel: Annotated[
        str | None, typer.Option(metavar="RUN", help="Remove this run from the queue. It can be resumed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what runs next and why it waits.

    The options reorder, pause or continue the queue.
    """
    from workbench import jobs

    workspace = Workspace.current()
    if pause and unpause:
        raise RequestError("--pause and --continue exclude each other.", "Choose one.")
    for run_id, position in ((first, 0), (last, 2**31)):
        if run_id:
            jobs.move(Run.open(run_id, workspace), position)
    if cancel and not jobs.cancel(run := Run.open(cancel, workspace)):
        raise RequestError(f"The run {run.id} is {run.state}, not queued.", f"Stop it: workbench stop {run.id}")
    if pause:
        jobs.pause(workspace)
    if unpause:
        jobs.unpause(workspace)
    status = jobs.queue_status(workspace)
    print_result(status, as_json, lambda: _show(status))


def _show(status: QueueStatus) -> None:
    console.print(status["why"], markup=False)
    rows = [{"position": _("running"), "run": run_id} for run_id in status["running"]]
    rows += [{"position": str(position), "run": run_id} for position, run_id in enumerate(status["queued"], start=1)]
    if rows:
        table(rows, {"position": ">" + _("position"), "run": _("run")}, "")
