"""Hooks of fine-tuning methods in whole runs: ranks are allocated, layers are unfrozen and have their own rates."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.contracts.test_tunings import StopAfter
from tests.tiny import make_run
from workbench.runs.run import Run
from workbench.training.job import TrainingJob
from workbench.training.reporter import RunReporter
from workbench.workspace import Workspace

RANKS: dict[str, Any] = {"method": "adalora", "rank": 2, "initial_rank": 4, "targets": "attention"}
STEPS = {"training.max_steps": 20, "training.epochs": 20, "data.max_length": 32, "training.batch_size": 16,
         "training.checkpoint_every": 5, "training.load_best": False}  # fmt: skip


def test_ranks_are_allocated_in_a_run_and_reported(workspace: Workspace) -> None:
    run = make_run(workspace, {"tuning": RANKS, **STEPS})
    assert TrainingJob(run, RunReporter(run)).execute() == "succeeded"
    reported = run.report().tuning
    assert reported["total_rank"] == 2 * 6 and len(reported["ranks"]) == 6


def test_a_resumed_run_allocates_the_same_ranks(workspace: Workspace) -> None:
    uninterrupted = make_run(workspace, {"tuning": RANKS, **STEPS})
    assert TrainingJob(uninterrupted, RunReporter(uninterrupted)).execute() == "succeeded"
    for stop_step in (8, 17):
        resumed = make_run(workspace, {"tuning": RANKS, **STEPS})
        reporter = StopAfter(resumed)
        reporter.at = stop_step
        assert TrainingJob(resumed, reporter).execute() == "stopped"
        assert TrainingJob(resumed, RunReporter(resumed)).execute() == "succeeded"
        assert weights(uninterrupted) == weights(resumed)
        assert uninterrupted.report().tuning == resumed.report().tuning


def weights(run: Run) -> bytes:
    return (run.model_folder / "adapter_model.safetensors").read_bytes()


def changes_of_weights(run: Run, reporter: RunReporter) -> dict[str, float]:
    """Train a run; return the largest change of each weight."""
    job = TrainingJob(run, reporter)
    trainer = job.make_trainer(job.prepare())
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.train()
    return {name: float((p.detach() - before[name]).abs().max()) for name, p in trainer.model.named_parameters()}


def test_lower_layers_change_less_and_are_unfrozen_later(workspace: Workspace) -> None:
    torch.manual_seed(0)
    freeze = {"method": "freeze", "layers": 0, "embeddings": False}
    run = make_run(workspace, {"tuning": {**freeze, "rate_decay": 0.1}, **STEPS})
    changes = changes_of_weights(run, RunReporter(run))
    largest_changes = [max(d for n, d in changes.items() if f"layer.{i}." in n) for i in range(3)]
    assert largest_changes[1] == pytest.approx(10 * largest_changes[0], rel=0.5)
    assert largest_changes[2] == pytest.approx(10 * largest_changes[1], rel=0.5)
    for stop_step, layers in ((9, {0, 1, 2}), (5, {1, 2}), (3, {2}), (2, set())):
        run = make_run(workspace, {"tuning": {**freeze, "gradual": 1.0}, **STEPS, "training.max_steps": 9})
        reporter = StopAfter(run)
        reporter.at = stop_step
        changes = changes_of_weights(run, reporter)
        assert {i for i in range(3) if any(d > 0 for n, d in changes.items() if f"layer.{i}." in n)} == layers
        assert changes["classifier.weight"] > 0
