"""prepare() returns the same data and model to every caller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny import make_run
from workbench.check import resolve
from workbench.errors import DataError
from workbench.explain.base_model import load_base_model
from workbench.files import write_json
from workbench.inference.predictor import Predictor
from workbench.runs.documents import Environment
from workbench.runs.run import Run
from workbench.training import context
from workbench.training.estimate import ProfilingReporter, ProfilingRun
from workbench.training.job import TrainingJob
from workbench.training.prepare import Prepared, prepare
from workbench.training.reporter import RunReporter
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

ROWS = Path(__file__).resolve().parents[2] / "rows"
NAMES: dict[str, Any] = {
    "task": "token-classification",
    "data.max_length": 32,
    "training.max_steps": 4,
}


def names_run(workspace: Workspace) -> Run:
    """Return a queued run of token classification, whose new head starts at the frequency of the tags."""
    data = workspace.uploads / "names.jsonl"
    data.write_bytes((ROWS / "token-classification.jsonl").read_bytes())
    return make_run(workspace, {**NAMES, "data.train": str(data)})


def weights(model: Any) -> dict[str, np.ndarray]:
    return {name: value.detach().cpu().numpy().copy() for name, value in model.state_dict().items()}


def assert_same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert np.array_equal(first[name], second[name]), name


def test_the_base_model_has_the_initial_head_of_training(workspace: Workspace) -> None:
    run = names_run(workspace)
    job = TrainingJob(run, RunReporter(run))
    initial = weights(job.prepare().model)
    bias = initial["classifier.bias"]
    assert np.exp(bias).sum() == pytest.approx(1, abs=1e-5) and np.ptp(bias) > 0.5, "log shares of the tags"
    assert run_folder(run.folder) == 0
    state = torch.random.get_rng_state()
    base = load_base_model(run, Predictor.load(run))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert_same(weights(base.model), initial)


def test_the_base_model_is_refused_if_its_head_needs_changed_data(workspace: Workspace) -> None:
    run = names_run(workspace)
    assert run_folder(run.folder) == 0
    path = workspace.uploads / "names.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-4]))
    with pytest.raises(DataError, match="has changed"):
        load_base_model(run, Predictor.load(run))


def test_the_base_model_needs_no_data_if_its_head_needs_none(workspace: Workspace) -> None:
    run = make_run(workspace, {"training.max_steps": 2})
    initial = weights(TrainingJob(run, RunReporter(run)).prepare().model)
    assert run_folder(run.folder) == 0
    (workspace.uploads / "reviews.csv").write_text("")
    spec = run.spec()
    assert spec.data.train.endswith("reviews.csv")
    assert_same(weights(load_base_model(run, Predictor.load(run)).model), initial)


def test_a_profiling_run_prepares_what_training_does(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = names_run(workspace)
    prepared: list[Prepared] = []

    def spy(*arguments: Any) -> Prepared:
        prepared.append(prepare(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.training.estimate.prepare", spy)
    with pytest.raises(KeyboardInterrupt):
        ProfilingRun(run, ProfilingReporter(run)).measure()
    other = prepare(resolve(run.spec(), workspace), workspace, run.tokenizer_folder)
    assert_same(weights(prepared[0].model), weights(other.model))
    assert prepared[0].dataset.fingerprint == other.dataset.fingerprint
    for name, split in other.splits.items():
        assert np.array_equal(split.encoded.tokens.ids, prepared[0].splits[name].encoded.tokens.ids)


def test_a_run_on_a_busy_machine_uses_fewer_threads_and_keeps_them_when_resumed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    monkeypatch.setattr(context, "cpu_cores", lambda: 4)
    run, reporter, messages = make_run(workspace), RunReporter.__new__(RunReporter), []
    monkeypatch.setattr(RunReporter, "info", lambda self, message: messages.append(message))
    try:
        monkeypatch.setattr(context, "idle_cores", lambda: 2)
        context._choose_threads(run, reporter)
        assert torch.get_num_threads() == 2 and "2 of 4 CPU threads" in messages[0]
        write_json(run.environment_file, Environment(threads=2).as_dict())
        monkeypatch.setattr(context, "idle_cores", lambda: 4)
        torch.set_num_threads(1)
        context._choose_threads(run, reporter)
        assert torch.get_num_threads() == 2, "the same numbers as before"
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        context._choose_threads(run, reporter)
        assert torch.get_num_threads() == 2, "the variable is left to torch"
    finally:
        torch.set_num_threads(before)
