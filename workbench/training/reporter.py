"""Reports the progress of a run into its folder while the run's process works, and receives requests to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TypedDict

from workbench.errors import StorageError, WorkbenchError
from workbench.files import TEMPORARY_PREFIX, write_atomically
from workbench.runs.report_notes import WarningNote
from workbench.runs.run import Run
from workbench.system.terminal import say
from workbench.training.core.state import TrainState

if TYPE_CHECKING:
    from workbench.training.loop import MetricsRow

HEARTBEAT_SECONDS = 1.0
RESERVE_BYTES = 256 * 1024  # freed when the disk is full, so that the error can still be written
RESERVE = f"{TEMPORARY_PREFIX}reserve"


class StopRequested(Exception):
    """Ends the preparation of a run that was asked to stop."""


class Progress(TypedDict, total=False):
    """The progress in ``status.json``.

    ``done`` and ``total`` count within a phase; the other fields belong to training.
    """

    phase: str
    done: int | None
    total: int | None
    step: int
    steps: int
    epoch: float
    seconds_left: float | None


class RunReporter:
    """Reports a run's progress and receives requests to stop. It is the training loop's callback.

    Args:
        run: its status, metrics and log are written.

    Attributes:
        max_seconds: limit on the training time; None for no limit.
        may_stop: whether a request to stop ends the run at the next phase. Training stops between steps instead, and
            what follows it always finishes.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.max_seconds: float | None = None
        self.may_stop = True
        self._progress: Progress = {"phase": "starting"}
        self._written: Progress | None = None  # the progress that was written last, and since when it is that
        self._moved = ""
        self._stop = False
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._step_times: list[tuple[float, int]] = []

    def start(self) -> None:
        """Start the heartbeat, listen for signals, and reserve some disk space for an error message."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_signal)
        with contextlib.suppress(StorageError):  # a full disk is reported at the first write that matters
            write_atomically(self.run.folder / RESERVE, lambda file: file.write(os.urandom(RESERVE_BYTES)))
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the heartbeat and write the last progress."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def release_reserve(self) -> None:
        """Free the reserved disk space."""
        with contextlib.suppress(OSError):  # the disk may be read-only now; the next process removes the file
            (self.run.folder / RESERVE).unlink(missing_ok=True)

    def info(self, text: str) -> None:
        """Write a line to the run's log. A full disk must not end a run because of its log.

        Args:
            text: the line, without the time.
        """
        with contextlib.suppress(OSError, ValueError):
            say(f"{datetime.now():%H:%M:%S}  {text}")

    def note(self, text: str) -> None:
        """Write a note to the run's log, and whether it is a warning.

        Args:
            text: the note.
        """
        self.info(f"Warning: {text}" if isinstance(text, WarningNote) else text)

    def phase(self, name: str, done: int | None = None, total: int | None = None) -> None:
        """Report the current phase and the progress within it.

        Args:
            name: the phase, in lower case.
            done: items done.
            total: items in all.

        Raises:
            StopRequested: the run was asked to stop before training began.
        """
        if self.may_stop and self.stop_requested():
            raise StopRequested
        if name != self._progress.get("phase"):
            self.info(name[:1].upper() + name[1:])
        self._progress = {**self._progress, "phase": name, "done": done, "total": total}

    def download(self, label: str, done: int, total: int | None) -> None:
        """Report the progress of a download.

        Args:
            label: what is downloaded.
            done: bytes done.
            total: bytes in all; None if unknown.
        """
        self.phase(label, done, total)

    def generation(self, done: int, total: int) -> None:
        """Report the progress of generating texts for the report.

        Args:
            done: examples done.
            total: examples in all.
        """
        self.phase("answering for the report", done, total)

    def log(self, row: MetricsRow) -> None:
        """Append a row of metrics and write it to the log.

        Args:
            row: a line of ``metrics.jsonl``.
        """
        self.run.append_metrics(row)
        metrics = "  ".join(f"{name.split('/')[1]} {value:.4g}" for name, value in row.items() if "/" in name)
        self.info(f"step {row['step']}  epoch {row['epoch']:.2f}  {'eval  ' if 'eval/loss' in row else ''}{metrics}")

    def progress(self, state: TrainState, steps: int, epoch: float) -> None:
        """Report a training step.

        Args:
            state: after the step.
            steps: number of steps of the run.
            epoch: epochs done, with the fraction.
        """
        now = time.monotonic()
        self._step_times.append((now, state.step))
        if len(self._step_times) > 200:
            del self._step_times[:100]
        (first, first_step), left = self._step_times[0], None
        if state.step > first_step:
            left = (now - first) / (state.step - first_step) * (steps - state.step)
            if self.max_seconds is not None:
                left = min(left, max(0.0, self.max_seconds - state.seconds))
        self._progress = {
            "phase": "training",
            "step": state.step,
            "steps": steps,
            "epoch": round(epoch, 2),
            "seconds_left": None if left is None else round(left, 1),
        }

    @property
    def step(self) -> int:
        """The last step that is done."""
        return self._progress.get("step") or 0

    def save(self, state: TrainState, save: Callable[[], Path]) -> None:
        """Save a checkpoint and remove those that are no longer needed.

        Args:
            state: state of the checkpoint.
            save: writes the checkpoint.
        """
        from workbench.training.core import checkpoint  # imports torch

        save()
        checkpoint.prune(self.run.checkpoints_folder, state.needed_checkpoints())

    def stop_requested(self) -> bool:
        """Return whether the run was asked to stop, by a signal or through its folder."""
        return self._stop or self.run.stop_requested()

    def request_stop(self) -> None:
        """Ask the run to stop."""
        self._stop = True

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.request_stop()

    def _beat(self) -> None:
        while not self._closed.wait(HEARTBEAT_SECONDS):
            self._write_progress()
        self._write_progress()

    def _write_progress(self) -> None:
        heartbeat = datetime.now(UTC).isoformat()
        if self._progress != self._written:
            self._written, self._moved = self._progress, heartbeat
        with contextlib.suppress(WorkbenchError, OSError):  # the run itself will meet a full disk, and report it
            self.run.update_status(progress=self._progress, heartbeat=heartbeat, moved=self._moved)
