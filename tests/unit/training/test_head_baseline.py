"""A fine-tuning run reports what a solved head reaches on the model before fine-tuning."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tiny import make_run
from workbench.runs.run import Run
from workbench.training.heads.head_baseline import NAME, is_cheap
from workbench.training.job import TrainingJob
from workbench.training.reporter import RunReporter
from workbench.training.runner import run_folder
from workbench.workspace import Workspace


def finished(workspace: Workspace, changes: dict[str, Any]) -> Any:
    run = make_run(workspace, {"model.pooling": "mean", **changes})
    assert run_folder(run.folder) == 0, run.status()
    return Run.open(run.id, workspace).report()


def test_it_is_what_the_head_alone_reaches_and_changes_nothing(workspace: Workspace) -> None:
    with_baseline = finished(workspace, {"training.head_baseline": "on"})
    without = finished(workspace, {"training.head_baseline": "off"})
    alone = finished(workspace, {"tuning.method": "head", "tuning.refit": False})
    name = alone.primary_metric
    assert with_baseline.baselines[NAME] == pytest.approx(alone.metrics[name].value)
    assert NAME not in without.baselines and with_baseline.metrics == without.metrics


def test_auto_measures_it_where_training_takes_twenty_times_as_long(workspace: Workspace) -> None:
    def cheap(epochs: float, method: str = "full") -> bool:
        run = make_run(workspace, {"training.epochs": epochs, "tuning.method": method})
        job = TrainingJob(run, RunReporter(run))
        return is_cheap(job.context, job.prepare())

    assert not cheap(3) and cheap(11)
    assert not cheap(11, "lora") and cheap(16, "lora")
