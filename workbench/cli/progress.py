"""Progress on standard error: of a run that is watched, and of anything that reports its phase."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from workbench.cli.output import errors, show_notes
from workbench.i18n import _
from workbench.jobs import RunSnapshot, stop, watch
from workbench.runs.report_notes import WarningNote
from workbench.runs.run import Run
from workbench.workspace import Workspace


def show_progress(run: Run, workspace: Workspace, quiet: bool) -> None:
    """Show a run's progress until it has ended. Ctrl-C stops the run, a second one leaves it alone.

    Args:
        run: queued or running.
        workspace: where it is.
        quiet: show nothing, and wait.
    """
    stopping = noted = False
    why = ""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, disable=quiet, transient=True) as progress:
        bar = progress.add_task(_("waiting"), total=None)
        snapshots = watch(run, workspace)
        while True:
            try:
                snapshot = next(snapshots, None)
                if snapshot is None:
                    return
                if snapshot.why != why:  # also with --json: otherwise the command would wait without a word
                    why = snapshot.why
                    if why:
                        errors.print(_("Waiting. {why}").format(why=why), markup=False, soft_wrap=True)
                _draw(progress, bar, snapshot, stopping)
                if not noted and not quiet and run.data_file.exists():
                    noted = True
                    show_notes([note for note in run.data_notes() if isinstance(note, WarningNote)], errors)
            except KeyboardInterrupt:
                if stopping:
                    raise
                stopping = True
                errors.print(_("Stopping after a checkpoint; press Ctrl-C again to detach."))
                stop(run)
                snapshots = watch(run, workspace)


def _draw(progress: Progress, bar: TaskID, snapshot: RunSnapshot, stopping: bool) -> None:
    now = snapshot.status.progress
    for row in snapshot.rows:
        if "eval/loss" in row:
            metrics = "  ".join(f"{name[5:]} {value:.4f}" for name, value in row.items() if name.startswith("eval/"))
            line = _("step {step}, epoch {epoch:.1f}: {metrics}")
            line = line.format(step=row["step"], epoch=row["epoch"], metrics=metrics)
            progress.console.print(f"  {line}", markup=False)
    if snapshot.ahead is not None:
        text = _("waiting, {n} ahead").format(n=snapshot.ahead) if snapshot.ahead else _("starting")
        progress.update(bar, description=text)
    elif now:
        done, total = (now.step, now.steps) if now.phase == "training" else (now.done, now.total)
        text = _("stopping") if stopping else escape(_(now.phase or ""))
        progress.update(bar, description=text, completed=done or 0, total=total)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Show a bar that is updated by ``{"phase", "done", "total"}``.

    Args:
        quiet: show nothing.

    Returns:
        A function that updates it.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, disable=quiet, transient=True) as progress:
        bar = progress.add_task(_("starting"), total=None)
        yield lambda now: progress.update(
            bar,
            description=escape(_(str(now.get("phase", "")))),
            completed=now.get("done") or 0,
            total=now.get("total"),
        )
