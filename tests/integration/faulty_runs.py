"""What the tests of faults share: runs small enough to be done hundreds of times, and what must hold of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.integration.write_faults import Fault
from tests.tiny import make_run
from workbench.files import TEMPORARY_PREFIX, read_json, read_lines
from workbench.jobs import reconcile, resume
from workbench.jobs.start_worker import module_environment
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run
from workbench.training.core import checkpoint
from workbench.workspace import Workspace

OF_THE_CLOCK = ("time", "train/tokens_per_second")  # fields of metrics that no two runs share
# Every write more than once: lines, evaluations, checkpoints of which some are the best, pruning.
EVENTFUL = {
    "data.max_length": 64,
    "training.epochs": 2,
    "training.log_every": 2,
    "training.eval_every": 6,
    "training.checkpoint_every": 4,
    "training.keep_checkpoints": True,
}


@dataclass
class Ended:
    """How a process ended, and what it wrote."""

    code: int
    events: list[tuple[str, str]]


class Server:
    """Starts processes of runs by forking from one that has imported everything."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.fault_process", "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def do(self, run: Run, fault: Fault | None = None, **more: Any) -> Ended:
        """Do the run in a process of its own, wait for its end."""
        order = {"folder": str(run.folder), "fault": asdict(fault or Fault()), **more}
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert answer["threads"] == 1, "a fork beside other threads may hang"
        return Ended(answer["code"], [tuple(event) for event in answer["events"]])

    def close(self) -> None:
        self._process.communicate()


def environment() -> dict[str, str]:
    """For processes started by tests: this package and these tests can be imported, one thread, few words."""
    result = {
        **os.environ,
        **module_environment(),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
    return {**result, "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}


class Scene:
    """A run that has ended well, and any number of runs of the same spec that shall meet a fault.

    Args:
        server: starts the processes.
        workspace: where the runs lie.
        changes: fields of the spec.
    """

    def __init__(self, server: Server, workspace: Workspace, changes: dict[str, Any] | None = None) -> None:
        self.server = server
        self.workspace = workspace
        self._first = make_run(workspace, {**EVENTFUL, **(changes or {})})
        self._made = 0
        self.reference = self.another()
        ended = server.do(self.reference)
        assert ended.code == 0, self.reference.log()
        self.events = ended.events
        self._fingerprint = fingerprint(self.reference)

    def another(self, runs: Path | None = None) -> Run:
        """A queued run of the same spec, below the folder ``runs`` of another workspace if one is given."""
        self._made += 1
        folder = (runs or self.workspace.runs) / f"run-{self._made:04d}"
        shutil.copytree(self._first.folder, folder)
        return Run(folder)

    def finish(self, run: Run, fault: Fault | None = None) -> None:
        """Resume the run, if it has not succeeded; it must end as if nothing had ever happened to it."""
        requeue(run)
        if run.state == "queued":
            ended = self.server.do(run, fault)
            assert ended.code == 0, run.log()
        self.assert_same(run)

    def assert_same(self, run: Run) -> None:
        assert run.state == "succeeded", run.status()
        result = fingerprint(run)
        for part, value in self._fingerprint.items():
            assert result[part] == value, f"{part} differs"
        assert leftovers(run) == []


def requeue(run: Run) -> None:
    """As a worker and a user would: take note of the end, then resume."""
    reconcile(run)
    if run.state not in ("queued", "succeeded"):
        resume(run, run.workspace, start=False)


def fingerprint(run: Run) -> dict[str, Any]:
    """All that two runs of one spec must share."""
    stored = run.report()
    report = stored.as_dict() if stored else {}
    report.pop("cost", None)
    checkpoints = run.checkpoints_folder
    return {
        "model": {p.name: sha256(p.read_bytes()).hexdigest() for p in sorted(run.model_folder.iterdir())},
        "metrics": [{k: v for k, v in row.items() if k not in OF_THE_CLOCK} for row in run.read_metrics()[0]],
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
    """Temporary files and folders in the run's folder."""
    result = [path.relative_to(run.folder) for path in run.folder.rglob("*") if path.name.startswith(TEMPORARY_PREFIX)]
    return sorted(map(str, result))


def assert_readable(run: Run) -> None:
    """Whatever happened: status and spec can be read, no line of metrics is half, the newest checkpoint is whole."""
    assert isinstance(read_json(run.status_file), dict)
    assert run.spec().name == "tiny"
    steps = [row["step"] for row in run.read_metrics()[0]]
    assert steps == sorted(steps)
    assert all({"step", "epoch", "time", "tokens"} <= row.keys() for row in run.read_metrics()[0])
    report = run.report_file
    assert not report.exists() or run.report() is not None
    for path in checkpoint.find(run.checkpoints_folder):
        assert checkpoint.is_complete(path), f"{path.name} has its name and is not whole"


def spread(count: int, most: int) -> list[int]:
    """``count`` numbers from 1 to ``most``, evenly spread, both ends included."""
    return sorted({round(1 + i * (most - 1) / max(1, count - 1)) for i in range(count)})


def every_second(count: int, first: int, part: int, parts: int) -> Sequence[int]:
    """The ``part``-th of ``parts`` shares of every second number from ``first`` to ``count``.

    Of every number when WORKBENCH_EVERY_FAULT is set: twenty minutes more.
    """
    numbers = range(1, count + 1) if os.environ.get("WORKBENCH_EVERY_FAULT") else range(first, count + 1, 2)
    return numbers[part::parts]
