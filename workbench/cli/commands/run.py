"""``workbench run``, ``submit``, ``range-test``, ``stop`` and ``resume``: the life of one run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from workbench.cli import views
from workbench.cli.options import RunId, Sets, SpecName, read_spec
from workbench.cli.output import Finished, Json, console, errors, print_result
from workbench.cli.progress import show_progress
from workbench.cli.proposing import with_answers
from workbench.i18n import _
from workbench.runs.run import Run
from workbench.spec import RANGE_TEST
from workbench.system.launcher import launched_processes
from workbench.workspace import Workspace


def run_command(spec: SpecName, sets: Sets = None, as_json: Json = False) -> None:
    """Run a spec now and show its progress.

    Ctrl-C stops the run after a checkpoint; closing the terminal does not. For several GPUs: torchrun
    --nproc-per-node 2 -m workbench run SPEC
    """
    from workbench.jobs import submit

    workspace = Workspace.current()
    if launched_processes() > 1:
        _run_launched(lambda: submit(read_spec(spec, sets), workspace, start=False), as_json)
        return
    run = with_answers(read_spec(spec, sets), lambda each: submit(each, workspace))
    _wait(run, workspace, as_json)


def range_test_command(spec: SpecName, sets: Sets = None, as_json: Json = False) -> None:
    """Find a learning rate for a spec.

    It trains briefly while the rate rises, and sees where the loss falls fastest.
    """
    from workbench.jobs import submit

    workspace = Workspace.current()
    _wait(submit(read_spec(spec, sets).changed({"kind": RANGE_TEST}), workspace), workspace, as_json)


def submit_command(spec: SpecName, sets: Sets = None, as_json: Json = False) -> None:
    """Put a run into the queue and return at once."""
    from workbench.jobs import submit

    run = with_answers(read_spec(spec, sets), lambda each: submit(each, Workspace.current()))
    text = _("Queued {id}\nWatch it: workbench show {id}").format(id=run.id)
    print_result(run.summary(), as_json, lambda: console.print(text))


def stop_command(
    run_id: RunId,
    kill_after: Annotated[
        float | None, typer.Option(min=0, help="Kill its process if it has not ended after this many seconds.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Stop a run. A running one writes a checkpoint first and can be resumed."""
    from workbench.jobs import stop

    run = Run.open(run_id, Workspace.current())
    state = stop(run, kill_after, wait=10.0)
    if state == "running":
        text = _(
            "{id} has been asked to stop, and does so after its current step. If it hangs: workbench stop {id} "
            "--kill-after 10"
        ).format(id=run.id)
    else:
        text = _("{id} is {state}.").format(id=run.id, state=_(state))
    print_result(run.summary(), as_json, lambda: console.print(text))


def resume_command(
    run_id: RunId,
    wait: Annotated[bool, typer.Option(help="Show its progress until it has ended.")] = True,
    as_json: Json = False,
) -> None:
    """Resume a run from its last checkpoint."""
    from workbench.jobs import resume

    workspace = Workspace.current()
    if launched_processes() > 1:
        _run_launched(lambda: resume(Run.open(run_id, workspace), workspace, start=False), as_json)
        return
    run = resume(Run.open(run_id, workspace), workspace)
    if wait:
        _wait(run, workspace, as_json)
    else:
        text = _("Queued {id}").format(id=run.id)
        print_result(run.summary(), as_json, lambda: console.print(text))


def _wait(run: Run, workspace: Workspace, as_json: bool) -> None:
    """Show a run's progress until it has ended; the exit code tells how."""
    show_progress(run, workspace, quiet=as_json)
    _show_end(run, as_json)


def _run_launched(queue_run: Callable[[], Run], as_json: bool) -> None:
    """Do a run in the processes of a launcher; process 0 shows how it ended."""
    from workbench.training.launched import run_launched

    run = run_launched(queue_run, quiet=as_json)
    if run is not None:
        _show_end(run, as_json)


def _show_end(run: Run, as_json: bool) -> None:
    """Show how a run ended; the exit code tells it too."""
    summary = run.summary()
    print_result(summary, as_json, lambda: views.show_run(summary, brief=True))
    if summary.state != "succeeded":
        error = summary.error
        if error and not as_json:
            label = _("Error:")
            errors.print(f"{label} {error.message}\n{error.hint}", style="red", markup=False, soft_wrap=True)
        raise Finished(0 if summary.state == "stopped" else 1)
