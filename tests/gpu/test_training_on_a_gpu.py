"""Runs on a GPU, from the spec to the report; skipped with the reason on a machine without a GPU."""

from __future__ import annotations

import pytest

from tests.tiny import make_run
from workbench.inference.predictor import Predictor
from workbench.jobs import resume
from workbench.training.runner import run_folder

pytestmark = pytest.mark.gpu
ON_GPU = {"training.device": "cuda", "training.precision": "auto"}


@pytest.mark.parametrize("tuning", ["full", "head", "lora"])
def test_a_run_succeeds_and_learns(workspace, tuning):
    run = make_run(workspace, {**ON_GPU, "tuning": tuning, "training.epochs": 10, "training.learning_rate": 5e-3})
    assert run_folder(run.folder) == 0
    report = run.report()
    assert report.cost.device != "cpu" and report.cost.peak_memory_bytes > 0
    losses = [row["train/loss"] for row in run.read_metrics()[0] if "train/loss" in row]
    assert losses[-1] < losses[0]
    on_gpu, on_cpu = (
        Predictor.load(run, device).predict([{"text": "the film is superb"}])[0] for device in ("cuda", "cpu")
    )
    assert on_gpu.score == pytest.approx(on_cpu.score, abs=1e-3)


def test_a_stopped_run_resumes(workspace):
    run = make_run(workspace, ON_GPU)
    run.request_stop()
    assert run_folder(run.folder) == 0 and run.state == "stopped"
    resume(run, workspace, start=False)
    assert run_folder(run.folder) == 0 and run.state == "succeeded"


def test_a_compiled_run_succeeds(workspace):
    run = make_run(workspace, {**ON_GPU, "training.compile": True, "training.epochs": 1})
    assert run_folder(run.folder) == 0
