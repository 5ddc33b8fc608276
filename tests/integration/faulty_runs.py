"""Helpers for the fault tests: runs small enough to execute hundreds of times, and the checks they must pass."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.integration.write_faults import Fault
from tests.tiny import make_run
from workbench.files import TEMPORARY_PREFIX, read_json, read_lines
from workbench.jobs import reconcile, resume
from workbench.jobs.start_worker import module_environment
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run
from workbench.training.core import checkpoint
from workbench.workspace import Workspace

TIMING_FIELDS = ("time", "train/tokens_per_second")  # differ between any two runs
# Makes a run do every kind of write more than once: lines, evaluations, (best) checkpoints, pruning.
MANY_WRITES = {
    "data.max_length": 64,
    "training.epochs": 2,
    "training.log_every": 2,
    "training.eval_every": 6,
    "training.checkpoint_every": 4,
    "training.keep_checkpoints": True,
}


@dataclass
class ProcessResult:
    """The exit code of a process and its write events."""

    code: int
    events: list[tuple[str, str]]


class Server:
    """Executes each run in a process forked from one that has imported everything."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.fault_process", "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def execute(self, run: Run, fault: Fault | None = None, **more: Any) -> ProcessResult:
        """Execute the run in a process of its own and wait until it ends."""
        request = {"folder": str(run.folder), "fault": asdict(fault or Fault()), **more}
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert answer["threads"] == 1, "a fork may hang while other threads run"
        return ProcessResult(answer["code"], [tuple(event) for event in answer["events"]])

    def close(self) -> None:
        self._process.communicate()


def environment() -> dict[str, str]:
    """Return the environment of a test's processes: importable packages, one thread, little output."""
    variables = {
        **os.environ,
        **module_environment(),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow's allocator; a server forks only without threads
    }
    return {**variables, "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}


class FaultScenario:
    """A reference run that succeeded, and a factory of runs with the same spec to inject faults into.

    Args:
        server: executes the runs.
        workspace: holds the runs.
        changes: fields of the spec that differ from the tiny run's.
    """

    def __init__(self, server: Server, workspace: Workspace, changes: dict[str, Any] | None = None) -> None:
        self.server = server
        self.workspace = workspace
        self._template = make_run(workspace, {**MANY_WRITES, **(changes or {})})
        self._count = 0
        self.reference = self.new_run()
        result = server.execute(self.reference)
        assert result.code == 0, self.reference.log()
        self.events = result.events
        self._fingerprint = fingerprint(self.reference)

    def new_run(self, runs: Path | None = None) -> Run:
        """Return a queued run with the same spec, below ``runs`` (default: the workspace's runs)."""
        self._count += 1
        folder = (runs or self.workspace.runs) / f"run-{self._count:04d}"
        shutil.copytree(self._template.folder, folder)
        return Run(folder)

    def assert_finishes_the_same(self, run: Run, fault: Fault | None = None) -> None:
        """Resume the run unless it has succeeded; assert that its result equals the reference run's."""
        requeue(run)
        if run.state == "queued":
            result = self.server.execute(run, fault)
            assert result.code == 0, run.log()
        self.assert_same(run)

    def assert_same(self, run: Run) -> None:
        assert run.state == "succeeded", run.status()
        actual = fingerprint(run)
        for name, expected in self._fingerprint.items():
            assert actual[name] == expected, f"{name} differs"
        assert leftovers(run) == []


def requeue(run: Run) -> None:
    """Do what a worker and then a user would do: reconcile the run's state and resume it."""
    reconcile(run)
    if run.state not in ("queued", "succeeded"):
        resume(run, run.workspace, start=False)


def _without_identity(path: Path, run: Run) -> bytes:
    """Return the content of a file; of the model card without the run's id and time."""
    content = path.read_bytes()
    if path.name != "README.md":
        return content
    lines = content.replace(run.id.encode(), b"RUN").splitlines()
    return b"\n".join(line for line in lines if b"training time" not in line)


def fingerprint(run: Run) -> dict[str, Any]:
    """Return everything that two runs of one spec must have in common."""
    stored = run.report()
    report = stored.as_dict() if stored else {}
    report.pop("cost", None)
    checkpoints = run.checkpoints_folder
    return {
        "model": {p.name: sha256(_without_identity(p, run)).hexdigest() for p in sorted(run.model_folder.iterdir())},
        "metrics": [{k: v for k, v in row.items() if k not in TIMING_FIELDS} for row in run.read_metrics()[0]],
        "samples": read_lines(run.samples_file)[0],
        "confusion": read_lines(run.confusion_file)[0],
        "report": report,
        "predictions": read_predictions(run),
        "checkpoints": [
            (path.name, sha256((path / "optimizer.safetensors").read_bytes()).hexdigest())
            for path in checkpoint.find(checkpoints)
        ],
    }


def leftovers(run: Run) -> list[str]:
    """List the temporary files and folders in the run's folder."""
    paths = [path.relative_to(run.folder) for path in run.folder.rglob("*") if path.name.startswith(TEMPORARY_PREFIX)]
    return sorted(map(str, paths))


def assert_readable(run: Run) -> None:
    """Assert that a fault left valid files: status, spec, whole lines of metrics, complete checkpoints."""
    assert isinstance(read_json(run.status_file), dict)
    assert run.spec().name == "tiny"
    steps = [row["step"] for row in run.read_metrics()[0]]
    assert steps == sorted(steps)
    assert all({"step", "epoch", "time", "tokens"} <= row.keys() for row in run.read_metrics()[0])
    report = run.report_file
    assert not report.exists() or run.report() is not None
    for path in checkpoint.find(run.checkpoints_folder):
        assert checkpoint.is_complete(path), f"{path.name} has its final name but is incomplete"


def spread(count: int, highest: int) -> list[int]:
    """``count`` evenly spaced numbers from 1 to ``highest``, both included."""
    return sorted({round(1 + i * (highest - 1) / max(1, count - 1)) for i in range(count)})


def kind_of_write(event: tuple[str, str]) -> str:
    """Return what an event has in common with its repetitions: no step number, no random end of a temporary name."""
    operation, path = event
    parts = [re.sub(r"-[a-z0-9_]{8}$", "", part) if TEMPORARY_PREFIX in part else part for part in path.split("/")]
    return f"{operation} {re.sub(r'[0-9]+', 'N', '/'.join(parts))}"


def every_second(count: int, first: int) -> Sequence[int]:
    """Return every second number from ``first`` to ``count``; with WORKBENCH_EVERY_FAULT set, every number from 1."""
    return range(1, count + 1) if _every_fault() else range(first, count + 1, 2)


def one_of_each_kind(events: Sequence[tuple[str, str]], numbers: Sequence[int], seed: int) -> list[int]:
    """Select one write of each kind, and a second one of a kind that happens often.

    With WORKBENCH_EVERY_FAULT set it selects all writes, which takes much longer.

    Args:
        events: the writes of a run, in their order.
        numbers: the numbers, from 1, of the writes to select from.
        seed: of the selection.

    Returns:
        Their numbers.
    """
    if _every_fault():
        return list(numbers)
    same_kind: dict[str, list[int]] = {}
    for number in numbers:
        same_kind.setdefault(kind_of_write(events[number - 1]), []).append(number)
    random_ = random.Random(seed)
    return sorted(n for same in same_kind.values() for n in random_.sample(same, 2 if len(same) > 3 else 1))


def _every_fault() -> bool:
    return bool(os.environ.get("WORKBENCH_EVERY_FAULT"))


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a disk of this size in memory; skip the test where that is not possible."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Write a file until the disk has no byte left."""
    path = disk / "filler"
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return path
