"""The confusion matrices that a run writes for its live page agree with its metrics."""

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

SETTINGS: dict[str, Any] = {
    "training.max_steps": 12,
    "training.eval_every": 3,
    "training.checkpoint_every": 5,
    "training.load_best": False,
}


def test_each_evaluation_writes_its_confusion_matrix(workspace: Workspace) -> None:
    run = make_run(workspace, SETTINGS)
    assert TrainingJob(run, RunReporter(run)).execute() == "succeeded"
    accuracies = {row["step"]: row["eval/accuracy"] for row in run.read_metrics()[0] if "eval/accuracy" in row}
    matrices = {row["step"]: np.array(row["counts"]) for row in run.confusions()}
    assert list(matrices) == list(accuracies) and len(matrices) >= 4
    assert all(row["labels"] == ["bad", "good"] for row in run.confusions())
    for step, counts in matrices.items():
        assert np.trace(counts) / counts.sum() == pytest.approx(accuracies[step])


def test_a_resumed_run_writes_each_matrix_once(workspace: Workspace) -> None:
    uninterrupted, resumed = (make_run(workspace, SETTINGS) for _ in range(2))
    assert TrainingJob(uninterrupted, RunReporter(uninterrupted)).execute() == "succeeded"
    assert TrainingJob(resumed, StopAfter(resumed)).execute() == "stopped"
    resumed.append_confusion(9, ["bad", "good"], [[9, 9], [9, 9]])  # as if killed after its checkpoint
    assert TrainingJob(resumed, RunReporter(resumed)).execute() == "succeeded"
    assert confusion_bytes(resumed) == confusion_bytes(uninterrupted)


def test_tasks_without_labels_write_no_matrix(workspace: Workspace) -> None:
    run = make_run(workspace, {**SETTINGS, "task": "masked-lm", "training.max_steps": 3})
    assert TrainingJob(run, RunReporter(run)).execute() == "succeeded"
    assert confusion_bytes(run) == b""


def confusion_bytes(run: Run) -> bytes:
    path = run.confusion_file
    return path.read_bytes() if path.exists() else b""
