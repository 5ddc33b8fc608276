"""The contract of every fine-tuning method: it learns, changes its own weights only, saves, loads, resumes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tests.tiny import make_model, make_run
from workbench.check import resolve
from workbench.errors import RefusedError, SpecError
from workbench.files import read_json
from workbench.inference.merging import merge
from workbench.inference.predictor import Predictor
from workbench.models.loading import load_folder, load_tokenizer
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run
from workbench.training.core.state import TrainState
from workbench.training.job import TrainingJob
from workbench.training.reporter import RunReporter
from workbench.tuning.base import tunings
from workbench.workspace import Workspace

STEPS = 20
SETTINGS = {
    "training.max_steps": STEPS,
    "training.epochs": 20,
    "training.batch_size": 32,
    "training.learning_rate": 5e-3,
    "training.checkpoint_every": 5,
    "training.load_best": False,
    "data.max_length": 32,
}
ADAPTERS = [name for name in tunings.names() if tunings.get(name).saves_adapter]
COMPLETE = [name for name in tunings.names() if not tunings.get(name).saves_adapter]


class Observed:
    """A finished run that remembers its weights and its loss on the training split, before and after training."""

    def __init__(self, run: Run) -> None:
        job = TrainingJob(run, RunReporter(run))
        self.resolved, self.spec = job.context.resolved, job.context.spec
        self.trainer = job.make_trainer(job.prepare())
        self.trained = {name for name, p in self.trainer.model.named_parameters() if p.requires_grad}
        self.before = self._weights()
        self.loss_before = self._loss()
        result = self.trainer.train()
        self.after = self._weights()
        self.loss_after = self._loss()
        job.finish(self.trainer, result)

    def _loss(self) -> float:
        split = self.trainer.prepared.splits["train"]
        split.activations = None
        return self.trainer.evaluation.evaluate(split)["eval/loss"]

    def _weights(self) -> dict[str, torch.Tensor]:
        return {name: p.detach().clone() for name, p in self.trainer.model.named_parameters()}


class StopAfter(RunReporter):
    """Requests a stop at step ``at``."""

    at = 8

    def progress(self, state: TrainState, steps: int, epoch: float) -> None:
        super().progress(state, steps, epoch)
        if state.step >= self.at:
            self.request_stop()


@dataclass
class Trained:
    run: Run
    observed: Observed
    workspace: Workspace


# The model has some ten thousand weights, so what is small compared with a real one must be smaller here.
SMALL: dict[str, dict[str, Any]] = {
    "adapter": {"tuning.width": 8},
    "adalora": {"tuning.rank": 2, "tuning.initial_rank": 3},
    "head": {"tuning.solver": "gradient"},  # a solved head has no steps; see tests/unit/training/test_solved_head.py
}


def options(name: str) -> dict[str, Any]:
    return {**SETTINGS, "tuning.method": name, **SMALL.get(name, {})}


def make_lively_model(folder: Path, seed: int = 0) -> None:
    """Save the tiny model with body weights so large that its outputs differ between texts and can be learned."""
    make_model(folder, dropout=0.0, seed=seed)
    weights = load_file(folder / "model.safetensors")
    lively = {name: w * np.float32(8 if w.ndim == 2 and "embeddings" not in name else 1) for name, w in weights.items()}
    save_file(lively, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.fixture(scope="module")
def trained_runs() -> dict[str, Trained]:
    return {}


def train(name: str, trained_runs: dict[str, Trained], folders: pytest.TempPathFactory) -> Trained:
    """Return a finished run of the tuning; it is trained once for all tests."""
    if name not in trained_runs:
        workspace = Workspace(folders.mktemp(name)).create()
        make_lively_model(workspace.uploads / "tiny")
        run = make_run(workspace, options(name))
        observed = Observed(run)
        trained_runs[name] = Trained(run, observed, workspace)
    return trained_runs[name]


@pytest.fixture
def trained(
    request: pytest.FixtureRequest, trained_runs: dict[str, Trained], tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    return train(request.param, trained_runs, tmp_path_factory)


every_tuning = pytest.mark.parametrize("trained", tunings.names(), indirect=True)
every_adapter = pytest.mark.parametrize("trained", ADAPTERS, indirect=True)
every_complete = pytest.mark.parametrize("trained", COMPLETE, indirect=True)


@every_tuning
def test_it_learns(trained: Trained) -> None:
    assert trained.observed.loss_after < trained.observed.loss_before


@every_tuning
def test_only_trainable_weights_change(trained: Trained) -> None:
    observed = trained.observed
    changed = {name for name in observed.before if not torch.equal(observed.before[name], observed.after[name])}
    assert changed, "no weight changed"
    assert changed <= observed.trained, "a frozen weight changed"
    cost = trained.run.report().cost
    assert cost.trained_parameters == sum(observed.before[name].numel() for name in observed.trained)


@every_tuning
def test_a_loaded_result_predicts_the_same(trained: Trained) -> None:
    saved = read_predictions(trained.run)
    predictor = Predictor.load(trained.run)
    assert predictor.labels == ["bad", "good"]
    results = predictor.predict([{"text": text} for text in saved["input:text"]])
    assert [r.label for r in results] == list(saved["prediction"])
    for label in predictor.labels:
        scores = [r.scores[label] for r in results]
        np.testing.assert_allclose(scores, saved[f"score:{label}"], atol=1e-6, rtol=0)


@every_tuning
def test_a_resumed_run_ends_with_the_same_weights(trained: Trained, workspace: Workspace) -> None:
    shutil.copytree(trained.workspace.uploads, workspace.uploads, dirs_exist_ok=True)
    run = make_run(workspace, options(trained.observed.spec.tuning.method))
    assert TrainingJob(run, StopAfter(run)).execute() == "stopped"
    assert not run.model_folder.exists()
    assert TrainingJob(run, RunReporter(run)).execute() == "succeeded"
    weights = "adapter_model.safetensors" if trained.observed.resolved.tuning.saves_adapter else "model.safetensors"
    once, twice = (load_file(each.folder / "model" / weights) for each in (trained.run, run))
    assert once.keys() == twice.keys()
    assert all(np.array_equal(once[name], twice[name]) for name in once)
    steps = [row["step"] for row in run.read_metrics()[0] if "train/loss" in row]
    assert steps == list(range(1, STEPS + 1))


@every_tuning
def test_saved_results_are_safetensors_without_paths(trained: Trained) -> None:
    folder = trained.run.model_folder
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [p.name for p in files if p.suffix in {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".py"}]
    assert [p.name for p in files if p.suffix == ".safetensors"]
    root = str(trained.workspace.root)
    for path in files:
        text = path.read_bytes().decode("utf-8", errors="replace")
        names_base = path.name in ("workbench.json", "adapter_config.json", "README.md")
        if trained.observed.resolved.tuning.saves_adapter and names_base:
            text = text.replace(f"{root}/uploads/tiny", "")  # an adapter must name the path of its base
        assert root not in text, f"{path.name} contains a path of this machine"


@every_complete
def test_a_complete_result_needs_nothing_else(trained: Trained) -> None:
    """The result loads in a workspace without its base."""
    other = Workspace(trained.workspace.root.parent / f"{trained.workspace.root.name}-moved").create()
    moved = Run(other.runs / trained.run.id)
    shutil.copytree(trained.run.folder, moved.folder)
    try:
        assert Predictor.load(moved).predict([{"text": "a great film"}])
    finally:
        shutil.rmtree(other.root)


WITHOUT_WORKBENCH = """
import importlib.abc, json, sys

class BlockedImports(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("workbench", "dashboard", "tests"):
            raise ImportError(name)

sys.meta_path.insert(0, BlockedImports())
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

texts, answers = json.loads(sys.argv[1]), []
for folder in sys.argv[2:]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        batch = tokenizer(texts, padding=True, truncation=True, max_length=32, return_tensors="pt")
        rows = model(**batch).logits.softmax(-1).tolist()
    answers.append([{model.config.id2label[i]: p for i, p in enumerate(row)} for row in rows])
print(json.dumps(answers))
"""


def test_plain_transformers_reads_complete_results(
    trained_runs: dict[str, Trained], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    runs = [train(name, trained_runs, tmp_path_factory).run for name in COMPLETE]
    texts = ["a great film", "the plot is boring and dull", "story with wonderful actors"]
    command = [sys.executable, "-c", WITHOUT_WORKBENCH, json.dumps(texts), *(str(run.model_folder) for run in runs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    for run, theirs in zip(runs, json.loads(done.stdout), strict=True):
        ours = [result.scores for result in Predictor.load(run).predict([{"text": text} for text in texts])]
        assert all(a == pytest.approx(b, abs=1e-6) for a, b in zip(theirs, ours, strict=True)), run.id


# -- adapters -------------------------------------------------------------------------------------------------------


@every_adapter
def test_an_adapter_is_small_and_names_its_base(trained: Trained) -> None:
    folder = trained.run.model_folder
    base = trained.workspace.uploads / "tiny"
    assert not (folder / "model.safetensors").exists()
    assert (folder / "adapter_model.safetensors").stat().st_size < (base / "model.safetensors").stat().st_size / 3
    note = read_json(folder / "workbench.json")
    assert note["adapter"] is True
    assert note["base"]["source"] == f"path:{base}" and len(note["base"]["fingerprint"]) == 64
    assert read_json(folder / "adapter_config.json")["base_model_name_or_path"] == str(base)


@every_adapter
def test_an_adapter_refuses_another_base(trained: Trained, tmp_path: Path) -> None:
    base, backup = trained.workspace.uploads / "tiny", tmp_path / "backup"
    shutil.move(base, backup)
    try:
        make_model(base, seed=1)
        with pytest.raises(RefusedError, match="another version"):
            Predictor.load(trained.run)
    finally:
        shutil.rmtree(base)
        shutil.move(backup, base)


@every_tuning
def test_a_result_can_be_fine_tuned_again(trained: Trained) -> None:
    """``model: run:RUN``, also of an adapter, starts from the trained weights."""
    spec = trained.run.spec().changed({"model": f"run:{trained.run.id}", "tuning": "head"})
    if not trained.observed.resolved.tuning.merges:
        with pytest.raises(SpecError, match="cannot be merged"):
            resolve(spec, trained.workspace)
        return
    task = Predictor.load(trained.run).task
    loaded = resolve(spec, trained.workspace).model.load(task.head, task.model_options())
    text = "a great film"
    with torch.no_grad():
        logits = loaded.model.eval()(**loaded.tokenizer(text, return_tensors="pt")).logits
    (ours,) = Predictor.load(trained.run).predict([{"text": text}])
    assert logits.softmax(-1)[0].tolist() == pytest.approx([ours.scores[x] for x in ("bad", "good")], abs=1e-5)


@pytest.mark.parametrize(
    ("method", "option"),
    [
        ("lora", {"tuning.dora": True}),
        ("lora", {"tuning.rslora": True}),
        ("prefix", {"tuning.network": True}),
        ("p-tuning", {"tuning.network": "lstm"}),
    ],
    ids=str,
)
def test_options_that_change_the_network_learn_load_and_merge(
    method: str, option: dict[str, Any], workspace: Workspace
) -> None:
    make_lively_model(workspace.uploads / "tiny")
    run = make_run(workspace, {**options(method), **option})
    observed = Observed(run)
    assert observed.loss_after < observed.loss_before
    texts = list(read_predictions(run)["input:text"])
    saved = read_predictions(run)["score:good"]
    scores = [answer.scores["good"] for answer in Predictor.load(run).predict([{"text": text} for text in texts])]
    np.testing.assert_allclose(scores, saved, atol=1e-6, rtol=0)
    if not tunings.get(method).merges:
        return
    folder = merge(run)
    model, _ = load_folder(folder, "AutoModelForSequenceClassification", {}, complete=True)
    whole = Predictor(model, load_tokenizer(folder), Predictor.load(run).task, 32)
    scores = [answer.scores["good"] for answer in whole.predict([{"text": text} for text in texts])]
    np.testing.assert_allclose(scores, saved, atol=1e-5, rtol=0)
