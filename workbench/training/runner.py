"""One run, from its spec to its report: what the process of a run does.

    python -m workbench run-folder DIR

    spec -> data -> model and tuning -> loop -> evaluation -> report

The process holds the run's lock while it lives and tells its progress in ``status.json``; whoever started it reads the
folder and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import EXIT_ALREADY_RUNNING, OutOfMemoryError, RunError, StorageError, WorkbenchError
from workbench.files import (
    TEMPORARY_PREFIX,
    read_json,
    read_lines,
    waiting_lock,
    write_atomically,
    write_text,
)
from workbench.machine import describe, process_identity
from workbench.runs.run import Run
from workbench.spec import RANGE_TEST
from workbench.training.state import TrainState
from workbench.version import __version__

if TYPE_CHECKING:
    from workbench.training.job import TrainingJob

HEARTBEAT_SECONDS = 1.0
RESERVE_BYTES = 256 * 1024  # freed when the disk is full, so that the reason can still be written


class StopRequested(Exception):
    """Ends the preparations of a run that somebody asked to stop."""


def run_folder(folder: Path) -> int:
    """Do the run in ``folder``, in this process. Returns the exit code.

    0 done or stopped, 1 failed, 2 the request was wrong (its spec or its data), 75 the run is in other hands.
    """
    run = Run(folder)
    lock = run.process_lock()
    if not lock.acquire():
        return EXIT_ALREADY_RUNNING
    try:
        if not run.transition(("queued", "running"), "running", process=process_identity(), error=None):
            return EXIT_ALREADY_RUNNING
        return _do(run)
    finally:
        lock.release()


def _do(run: Run) -> int:
    watch = RunReporter(run)
    clear_leftovers(run)
    watch.begin()
    try:
        if run.report() is None:  # else it was killed between its last word and its state
            watch.phase("starting")
            minutes = run.spec().training.max_minutes
            watch.most_seconds = None if minutes is None else 60 * minutes
            if _work(run, watch).execute() == "stopped":
                watch.end()
                run.transition(("running",), "stopped")
                return 0
        watch.end()
        tidy(run)
        run.transition(("running",), "succeeded")
        return 0
    except StopRequested:
        watch.end()
        watch.say("Stopped before training, as asked.")
        run.transition(("running",), "stopped")
        return 0
    except BaseException as error:
        watch.end()
        failure = as_workbench_error(error)
        if not isinstance(error, WorkbenchError):
            traceback.print_exc()
        watch.say(f"{failure.kind}: {failure}")
        _record_failure(run, failure)
        return failure.exit_code
    finally:
        watch.free_reserve()


def _work(run: Run, watch: RunReporter) -> TrainingJob:
    """The work that the run's spec asks for. It imports torch: only now, so that a run in other hands is cheap."""
    if run.kind() == RANGE_TEST:
        from workbench.training.lr_range_test import RangeTestJob

        return RangeTestJob(run, watch)
    from workbench.training.job import TrainingJob

    return TrainingJob(run, watch)


def _record_failure(run: Run, failure: WorkbenchError) -> None:
    """Store the failure; when the disk is full, the reserve is given up for it."""
    with contextlib.suppress(StorageError, OSError):
        (run.folder / RunReporter.RESERVE).unlink(missing_ok=True)
        run.transition(("running",), "failed", error=failure.as_dict())


def as_workbench_error(error: BaseException) -> WorkbenchError:
    if isinstance(error, WorkbenchError):
        return error
    text = " ".join(str(error).split())
    if _is_out_of_memory(error):
        return _out_of_memory(text)
    if isinstance(error, OSError) and error.errno is not None:
        return StorageError(
            f"The run met an error of the system: {text}", "See the log for where, then resume the run."
        )
    return RunError(
        f"{type(error).__name__}: {text[:500]}", "The log has the details; this may be a fault of the workbench."
    )


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    signs = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "bad_alloc")
    return isinstance(error, MemoryError) or any(sign in text for sign in signs)


def _out_of_memory(text: str) -> OutOfMemoryError:
    memory = describe()["memory"]
    in_use = (memory["total_bytes"] - memory["available_bytes"]) / 1e9
    return OutOfMemoryError(
        f"Memory ran out: {text[:200] or 'an allocation failed'} (machine: {memory['total_bytes'] / 1e9:.1f} GB, "
        f"{in_use:.1f} GB in use).",
        OutOfMemoryError.WHAT_TO_LOWER,
    )


# -- what a run tells while it works --------------------------------------------------------------------------------


@dataclass
class RunReporter:
    """Tells of a run's progress, and hears when it shall stop. It is the loop's :class:`TrainerCallback`."""

    run: Run
    most_seconds: float | None = None  # of training, when the clock ends it
    _progress: dict[str, Any] = field(default_factory=lambda: {"phase": "starting"})
    may_stop: bool = True  # at the next phase; training stops between steps, and what follows it is done to the end
    _stop: bool = False
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _step_times: list[tuple[float, int]] = field(default_factory=list)

    RESERVE = f"{TEMPORARY_PREFIX}reserve"

    def begin(self) -> None:
        """Start the heartbeat, listen for signals, and set some disk aside for the last words."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_signal)
        with contextlib.suppress(StorageError):  # a disk that is full already is told of at the first real write
            write_atomically(self.run.folder / self.RESERVE, lambda file: file.write(os.urandom(RESERVE_BYTES)))
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop the heartbeat; the last progress is on disk afterwards."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def free_reserve(self) -> None:
        with contextlib.suppress(OSError):  # a disk that is read-only now; the next process clears it away
            (self.run.folder / self.RESERVE).unlink(missing_ok=True)

    def say(self, text: str) -> None:
        """A line of the log. A full disk must not stop a run because of its log."""
        with contextlib.suppress(OSError, ValueError):
            print(f"{datetime.now():%H:%M:%S}  {text}", flush=True)

    def phase(self, name: str, done: int | None = None, total: int | None = None) -> None:
        """What the run does now, and how far it is with it.

        Raises:
            StopRequested: somebody asked the run to stop before it began to train.
        """
        if self.may_stop and self.stop_requested():
            raise StopRequested
        if name != self._progress.get("phase"):
            self.say(name[:1].upper() + name[1:])
        self._progress = {**self._progress, "phase": name, "done": done, "total": total}

    def download(self, label: str, done: int, total: int | None) -> None:
        """Progress of a download, as the data layer tells it."""
        self.phase(label, done, total)

    def answering(self, done: int, total: int) -> None:
        """Progress of a task that writes its answers for the report."""
        self.phase("answering for the report", done, total)

    # The loop's TrainerCallback:

    def log(self, row: dict[str, Any]) -> None:
        self.run.append_metrics(row)
        figures = "  ".join(f"{name.split('/')[1]} {value:.4g}" for name, value in row.items() if "/" in name)
        self.say(f"step {row['step']}  epoch {row['epoch']:.2f}  {'eval  ' if 'eval/loss' in row else ''}{figures}")

    def progress(self, position: TrainState, steps: int, epoch: float) -> None:
        now = time.monotonic()
        self._step_times.append((now, position.step))
        if len(self._step_times) > 200:
            del self._step_times[:100]
        (first, first_step), left = self._step_times[0], None
        if position.step > first_step:
            left = (now - first) / (position.step - first_step) * (steps - position.step)
            if self.most_seconds is not None:
                left = min(left, max(0.0, self.most_seconds - position.seconds))
        self._progress = {
            "phase": "training",
            "step": position.step,
            "steps": steps,
            "epoch": round(epoch, 2),
            "seconds_left": None if left is None else round(left, 1),
        }

    @property
    def step(self) -> int:
        """The last step that is done."""
        return int(self._progress.get("step") or 0)

    def save(self, position: TrainState, save: Callable[[], Path]) -> None:
        from workbench.training import checkpoint

        save()
        checkpoint.prune(self.run.folder / "checkpoints", needed_steps(position))

    def stop_requested(self) -> bool:
        return self._stop or self.run.stop_requested()

    def _on_signal(self, number: int, _: Any) -> None:
        self._stop = True

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            self._tell()
        self._tell()

    def _tell(self) -> None:
        heartbeat = datetime.now(UTC).isoformat()
        with contextlib.suppress(WorkbenchError, OSError):  # the work itself will meet a full disk, and tell
            self.run.update_status(progress=self._progress, heartbeat=heartbeat)


# -- small parts ---------------------------------------------------------------------------------------------------


def needed_steps(position: TrainState) -> set[int]:
    """The steps whose checkpoints are needed still: the last, and the best so far."""
    return {position.step} | ({position.best_step} if position.best_step is not None else set())


def clear_leftovers(run: Run) -> None:
    """Remove what a process that was killed left half written; call with the run's lock held.

    Those who change the status of a run write aside as well, under the status's lock: nothing of theirs is touched.
    """
    with contextlib.suppress(StorageError, OSError), waiting_lock(run.folder / "status.lock", make_folder=False):
        for path in run.folder.glob(f"{TEMPORARY_PREFIX}*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def tidy(run: Run) -> None:
    """Remove the checkpoints that a finished run no longer needs: all, unless its spec wants them kept."""
    from workbench.training import checkpoint

    found = checkpoint.find(run.folder / "checkpoints")
    if not found:
        return
    state = read_json(found[-1] / "state.json") if run.spec().training.keep_checkpoints else None
    keep = needed_steps(TrainState(**state["position"])) if state else set()
    checkpoint.prune(run.folder / "checkpoints", keep)


def drop_after(run: Run, step: int) -> None:
    """Drop what was written of the steps after ``step``: a resumed run writes it again."""
    for path in (run.folder / name for name in ("metrics.jsonl", "samples.jsonl", "confusion.jsonl")):
        rows, _ = read_lines(path)
        kept = [row for row in rows if row.get("step", 0) <= step]
        if len(kept) < len(rows):
            write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))


def environment(device: Any, fingerprint: str, seed: int) -> dict[str, Any]:
    """What has to be known to do the run again: versions, device, data, seed."""
    packages = ("torch", "transformers", "tokenizers", "accelerate", "peft", "safetensors", "numpy")
    return {
        "workbench": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: metadata.version(name) for name in packages},
        "device": {"kind": device.kind, "name": device.name, "precision": device.precision},
        "machine": describe(),
        "git_commit": _git_commit(),
        "data_fingerprint": fingerprint,
        "seed": seed,
    }


def _git_commit() -> str | None:
    """The commit of the workbench's own checkout, when it runs from one."""
    import subprocess

    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    return None
