"""The process of a run, from its spec to its report.

    python -m workbench run-folder DIR

    spec -> data -> model and fine-tuning method -> loop -> evaluation -> report

The process holds the run's lock while it lives and writes its progress to ``status.json``. The process that started it
reads only the folder.
"""

from __future__ import annotations

import contextlib
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import EXIT_ALREADY_RUNNING, OutOfMemoryError, RunError, StorageError, WorkbenchError
from workbench.runs.recovery import clear_leftovers
from workbench.runs.run import Run
from workbench.spec import RANGE_TEST
from workbench.system.cgroups import memory_of
from workbench.system.launcher import is_lost_process
from workbench.system.machine import process_identity
from workbench.system.terminal import say
from workbench.training.reporter import RESERVE, RunReporter, StopRequested

if TYPE_CHECKING:
    from workbench.training.job import TrainingJob
    from workbench.training.lr_range_test import RangeTestJob


def run_folder(folder: Path) -> int:
    """Do the run in a folder, in this process.

    Args:
        folder: the run's folder.

    Returns:
        The exit code: 0 if the run is done or stopped, 1 if it failed, 2 if its spec or its data cannot be used,
        ``EXIT_ALREADY_RUNNING`` if another process has the run.
    """
    run = Run(folder)
    lock = run.process_lock()
    if not lock.acquire():
        return EXIT_ALREADY_RUNNING
    try:
        if not run.transition(("queued", "running"), "running", process=process_identity(), error=None):
            return EXIT_ALREADY_RUNNING
        return _execute(run)
    finally:
        lock.release()


def as_workbench_error(error: BaseException) -> WorkbenchError:
    """Return an error that can be stored in a run's status.

    Args:
        error: any error of the run's process.
    """
    if isinstance(error, WorkbenchError):
        return error
    text = " ".join(str(error).split())
    if _is_out_of_memory(error):
        return _out_of_memory(text)
    if is_lost_process(error):
        return RunError(
            "Another process of this run ended before its training did.",
            "Its own error is in the output of the launcher. Then resume the run with as many processes.",
        )
    if isinstance(error, OSError) and error.errno is not None:
        return StorageError(f"The system reported an error: {text}", "See the log for details, then resume the run.")
    return RunError(
        f"{type(error).__name__}: {text[:500]}", "See the log for details; this may be a bug in the workbench."
    )


def _execute(run: Run) -> int:
    reporter = RunReporter(run)
    clear_leftovers(run)
    reporter.start()
    try:
        if run.report() is None:  # otherwise the process was killed between its report and its last state
            reporter.phase("starting")
            minutes = run.spec().training.max_minutes
            reporter.max_seconds = None if minutes is None else 60 * minutes
            if _make_job(run, reporter).execute() == "stopped":
                reporter.close()
                run.transition(("running",), "stopped")
                return 0
        reporter.close()
        _prune_checkpoints(run)
        run.transition(("running",), "succeeded")
        return 0
    except StopRequested:
        reporter.close()
        reporter.info("Stopped before training, as requested.")
        run.transition(("running",), "stopped")
        return 0
    except BaseException as error:
        reporter.close()
        failure = as_workbench_error(error)
        if not isinstance(error, WorkbenchError):
            say(traceback.format_exc().rstrip(), to_errors=True)
        reporter.info(f"{failure.kind}: {failure}")
        _record_failure(run, failure)
        return failure.exit_code
    finally:
        reporter.release_reserve()


def _make_job(run: Run, reporter: RunReporter) -> TrainingJob | RangeTestJob:
    """Return the job of the run's kind. Imports torch: only now, so that a run of another process costs little."""
    if run.kind() == RANGE_TEST:
        from workbench.training.lr_range_test import RangeTestJob

        return RangeTestJob(run, reporter)
    from workbench.training.job import TrainingJob

    return TrainingJob(run, reporter)


def _record_failure(run: Run, failure: WorkbenchError) -> None:
    """Store the failure; on a full disk, the reserve is freed for it."""
    with contextlib.suppress(StorageError, OSError):
        (run.folder / RESERVE).unlink(missing_ok=True)
        run.transition(("running",), "failed", error=failure.as_dict())


def _prune_checkpoints(run: Run) -> None:
    """Remove the checkpoints that a finished run no longer needs: all, unless its spec keeps them."""
    from workbench.training.core import checkpoint

    folder = run.checkpoints_folder
    checkpoints = checkpoint.find(folder)
    if not checkpoints:
        return
    state = checkpoint.stored_state(checkpoints[-1]) if run.spec().training.keep_checkpoints else None
    checkpoint.prune(folder, state.needed_checkpoints() if state else set())


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    signs = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "bad_alloc")
    return isinstance(error, MemoryError) or any(sign in text for sign in signs)


def _out_of_memory(text: str) -> OutOfMemoryError:
    memory = memory_of()
    in_use = (memory.total_bytes - memory.available_bytes) / 1e9
    whose = "limit of its control group" if memory.is_limited else "machine"
    return OutOfMemoryError(
        f"Memory ran out: {text[:200] or 'an allocation failed'} ({whose}: {memory.total_bytes / 1e9:.1f} GB, "
        f"{in_use:.1f} GB in use).",
        OutOfMemoryError.WHAT_TO_LOWER,
    )
