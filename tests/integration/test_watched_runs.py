"""What a run writes to be watched by, held to what it says of itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.contracts.test_tunings import StopAfter
from tests.tiny import make_run
from workbench.runs.run import Run
from workbench.training.job import TrainingJob
from workbench.training.reporter import RunReporter
from workbench.workspace import Workspace

EVENTS: dict[str, Any] = {
    "training.max_steps": 12,
    "training.eval_every": 3,
    "training.checkpoint_every": 5,
    "training.load_best": False,
}


def test_each_evaluation_leaves_its_confusion_matrix(workspace: Workspace) -> None:
    run = make_run(workspace, EVENTS)
    assert TrainingJob(run, RunReporter(run)).execute() == "succeeded"
    evaluated = {row["step"]: row["eval/accuracy"] for row in run.read_metrics()[0] if "eval/accuracy" in row}
    result = {row["step"]: np.array(row["counts"]) for row in run.confusions()}
    assert list(result) == list(evaluated) and len(result) >= 4
    assert all(row["labels"] == ["bad", "good"] for row in run.confusions())
    for step, counts in result.items():
        assert np.trace(counts) / counts.sum() == pytest.approx(evaluated[step])


def test_a_resumed_run_leaves_each_once_and_the_same(workspace: Workspace) -> None:
    once, twice = (make_run(workspace, EVENTS) for _ in range(2))
    assert TrainingJob(once, RunReporter(once)).execute() == "succeeded"
    reporter = StopAfter(twice)
    assert TrainingJob(twice, reporter).execute() == "stopped"
    twice.append_confusion(9, ["bad", "good"], [[9, 9], [9, 9]])  # as if it had been killed after its checkpoint
    assert TrainingJob(twice, RunReporter(twice)).execute() == "succeeded"
    assert lines(twice) == lines(once)


def test_what_has_no_labels_leaves_none(workspace: Workspace) -> None:
    run = make_run(workspace, {**EVENTS, "task": "masked-lm", "training.max_steps": 3})
    assert TrainingJob(run, RunReporter(run)).execute() == "succeeded"
    assert lines(run) == b""


def lines(run: Run) -> bytes:
    path = run.confusion_file
    return path.read_bytes() if path.exists() else b""
