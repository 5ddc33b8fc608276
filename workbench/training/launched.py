"""A run in the processes of a launcher: ``torchrun --nproc-per-node 2 -m workbench run spec.yaml``.

No worker takes part: process 0 creates the run and writes its folder, and the others compute with it.
"""

from __future__ import annotations

from collections.abc import Callable

from workbench.errors import RequestError
from workbench.files import storage_errors
from workbench.runs.run import Run
from workbench.system.opening import private_opener
from workbench.system.terminal import redirected_output


def run_launched(queue_run: Callable[[], Run], quiet: bool = False) -> Run | None:
    """Do a run in all processes of the launcher.

    Args:
        queue_run: queues the run without starting a worker; called in process 0.
        quiet: write what the run prints to its log only.

    Returns:
        The run in process 0, and None in the others.

    Raises:
        WorkbenchError: the run cannot be queued, or not in several processes.
    """
    from workbench.training.follower import follow
    from workbench.training.processes import Processes

    processes = Processes.join()
    if not processes.is_main:
        folder = processes.agree_on_path(None)
        if folder is not None:
            follow(folder)
        return None
    run: Run | None = None
    try:
        run = queue_run()
        if run.kind() != "training":
            run.transition(("queued",), "stopped")
            kind, run = run.kind(), None
            raise RequestError(f"A {kind} runs in one process.", "Start it without a launcher: workbench run SPEC")
    finally:
        processes.agree_on_path(None if run is None else run.folder)
    _execute(run, quiet)
    return run


def _execute(run: Run, quiet: bool) -> None:
    from workbench.training.runner import run_folder

    with storage_errors(run.log_file), open(run.log_file, "a", encoding="utf-8", opener=private_opener) as log:
        try:
            with redirected_output(log, show=not quiet):
                run_folder(run.folder)
        finally:
            run.variables_file.unlink(missing_ok=True)
