"""A pooler that was never trained begins as the first token's vector; a trained one is loaded, or one on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny import make_model, make_run
from workbench.inference.predictor import Predictor
from workbench.models.loading import load_folder, make_source
from workbench.runs.run import Run
from workbench.training.job import TrainingJob
from workbench.training.reporter import RunReporter
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

POOLER = ("bert.pooler.dense.weight", "bert.pooler.dense.bias")


def without_pooler(folder: Path) -> Path:
    """A tiny BERT whose file has no pooler, like that of an embedding model."""
    make_model(folder)
    weights = load_file(folder / "model.safetensors")
    remaining = {name: weight for name, weight in weights.items() if "pooler" not in name}
    assert len(remaining) < len(weights)
    save_file(remaining, folder / "model.safetensors", {"format": "pt"})
    return folder


def prepared(workspace: Workspace, changes: dict[str, Any]) -> Any:
    run = make_run(workspace, changes)
    return TrainingJob(run, RunReporter(run)).prepare()


@pytest.mark.parametrize("code", ["transformers", "workbench"])
def test_a_missing_pooler_passes_the_first_token_on(workspace: Workspace, tmp_path: Path, code: str) -> None:
    source = f"path:{without_pooler(tmp_path / 'body')}"
    base = prepared(workspace, {"model.source": source, "model.code": code, "model.pooler": "first"})
    model = base.model.eval()
    batch = base.task.collate(base.splits["train"].encoded, np.arange(4), 0)
    del batch["labels"]
    with torch.no_grad():
        first = model.base_model(**batch).last_hidden_state[:, 0]
        torch.testing.assert_close(model(**batch).logits, model.classifier(first.tanh()))
    loaded = prepared(workspace, {"model.source": source, "model.code": code}).model
    assert not torch.equal(*(each.state_dict()[name] for each, name in _pooler_weights(model, loaded)))


def _pooler_weights(*models: Any) -> list[tuple[Any, str]]:
    return [
        (m, next(n for n in m.state_dict() if n.endswith(("pooler.dense.weight", "pooler.weight")))) for m in models
    ]


def test_a_trained_pooler_is_loaded(workspace: Workspace) -> None:
    folder = make_model(workspace.uploads / "tiny")
    weights = load_file(folder / "model.safetensors")
    model = prepared(workspace, {"model.pooler": "first"}).model
    assert torch.equal(model.state_dict()[POOLER[0]], weights["pooler.dense.weight"])


def test_a_run_continues_the_pooler_of_an_earlier_run(workspace: Workspace, tmp_path: Path) -> None:
    changes = {"model.source": f"path:{without_pooler(tmp_path / 'body')}", "model.pooler": "first"} | {
        "training.max_steps": 2
    }
    first = make_run(workspace, changes)
    run_folder(first.folder)
    weights = load_file(first.model_folder / "model.safetensors")
    assert not torch.equal(weights[POOLER[0]], torch.eye(32)), "it was not trained"
    model = prepared(workspace, {"model.source": f"run:{first.id}", "model.pooler": "first"}).model
    assert torch.equal(model.state_dict()[POOLER[0]], weights[POOLER[0]])


def test_an_adapter_brings_its_pooler(workspace: Workspace, tmp_path: Path) -> None:
    """Loading the base samples another pooler; the answers must be those of the trained one."""
    changes = {
        "model.source": f"path:{without_pooler(tmp_path / 'body')}",
        "model.pooler": "first",
        "tuning.method": "lora",
    }
    run = make_run(workspace, {**changes, "training.max_steps": 4})
    run_folder(run.folder)
    run = Run.open(run.id, workspace)
    assert any("pooler" in name for name in load_file(run.model_folder / "adapter_model.safetensors"))
    torch.manual_seed(1)
    answers = Predictor.load(run).predict([{"text": "a great film"}])
    torch.manual_seed(2)
    assert Predictor.load(run).predict([{"text": "a great film"}]) == answers


def test_bases_of_older_adapters_are_not_changed(workspace: Workspace, tmp_path: Path) -> None:
    """Only a run that begins gets the unit matrix: an adapter may have been trained on the file's weights."""
    folder = make_model(tmp_path / "body")
    loaded = make_source(f"path:{folder}", workspace).load("AutoModelForSequenceClassification", {"num_labels": 2})
    plain, _ = load_folder(folder, "AutoModelForSequenceClassification", {"num_labels": 2})
    assert torch.equal(*(model.state_dict()[POOLER[0]] for model in (loaded.model, plain)))


@pytest.mark.mirror
@pytest.mark.slow
def test_minilm_has_no_trained_pooler(workspace: Workspace, shared_cache: Path) -> None:
    """The one in its file is random, and so small that a classifier sees almost nothing."""
    base = prepared(workspace, {"model.source": "minilm", "model.pooler": "first"})
    assert torch.equal(base.model.state_dict()[POOLER[0]], torch.eye(384))
    assert base.loaded.newly_initialized.issuperset(POOLER), "an adapter must save it"
    old = make_source("minilm", workspace).load("AutoModelForSequenceClassification", {"num_labels": 2})
    assert old.base["fingerprint"] == base.loaded.base["fingerprint"], "adapters of earlier runs no longer load"
    assert not torch.equal(old.model.state_dict()[POOLER[0]], torch.eye(384))
