"""A process that computes a share of a run whose folder another process writes."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.runs.run import Run
from workbench.system.launcher import is_lost_process
from workbench.training.core.state import TrainState
from workbench.training.job import TrainingJob
from workbench.training.loop import MetricsRow
from workbench.training.processes import Processes
from workbench.training.reporter import RunReporter
from workbench.workspace import Workspace

# What process 0 has written before the others begin, and they read.
_READ_FIRST = ("spec.yaml", "status.json", "splits.json", "environment.json", "tokenizer")


@dataclass(frozen=True)
class SharedRun(Run):
    """A run in a process that does not write its folder. What it would write goes to a temporary folder.

    Attributes:
        origin: the run's folder.
    """

    origin: Path

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.origin.parent.parent)

    @property
    def checkpoints_folder(self) -> Path:
        return self.origin / "checkpoints"


class FollowerReporter(RunReporter):
    """Reports nothing: process 0 does."""

    def info(self, text: str) -> None:
        return None

    def phase(self, name: str, done: int | None = None, total: int | None = None) -> None:
        return None

    def log(self, row: MetricsRow) -> None:
        return None

    def save(self, state: TrainState, save: Callable[[], Path]) -> None:
        return None

    def stop_requested(self) -> bool:
        return False


def follow(folder: Path) -> None:
    """Compute this process's share of a run, until its training ends.

    Args:
        folder: the run's folder, which process 0 writes.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # process 0 receives them too, and stops all at the same step
        signal.signal(number, signal.SIG_IGN)
    try:
        _follow(folder)
    except RuntimeError as error:
        if not is_lost_process(error):
            raise  # otherwise another process has reported why it ended


def _follow(folder: Path) -> None:
    Processes.current().wait_for_main()
    with tempfile.TemporaryDirectory(prefix="workbench-process-") as temporary:
        copy = Path(temporary) / folder.name
        copy.mkdir()
        for name in _READ_FIRST:
            source = folder / name
            if source.is_dir():
                shutil.copytree(source, copy / name)
            elif source.exists():
                shutil.copyfile(source, copy / name)
        run = SharedRun(copy, folder)
        TrainingJob(run, FollowerReporter(run)).execute()
