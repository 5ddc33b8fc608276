"""Relation extraction from spec to prediction with every kind of tuning: full, adapter, prompt and head."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import make_model
from workbench.check import resolve
from workbench.inference.predictor import Predictor
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

pytestmark = pytest.mark.slow  # make test trains each of these tasks once, in tests/contracts

ROWS = Path(__file__).parent.parent / "rows" / "relation-extraction.jsonl"
TRAINING = {"batch_size": 8, "device": "cpu", "precision": "fp32"}


def test_our_transformer_learns_relations_from_scratch(workspace: Workspace) -> None:
    document = {
        "task": "relation-extraction",
        "data": str(ROWS),
        "model": {"source": "transformer-encoder", "size": "tiny", "tokenizer": {"train": "wordpiece"}},
        "training": {**TRAINING, "epochs": 15, "learning_rate": 1e-3},
    }
    run = Run.create(resolve(RunSpec.parse(document), workspace).spec, workspace)
    assert run_folder(run.folder) == 0, run.status()
    report = run.report()
    assert report is not None
    assert report.metrics["macro_f1"].value > 0.7 > report.baseline["macro_f1"]
    inputs = [{"text": "the <e1>noise</e1> caused much <e2>panic</e2>"}]
    inputs += [{"text": "the noise caused much panic", "head": "noise", "tail": "panic"}]
    first, second = Predictor.load(run).predict(inputs)
    assert first == second
    assert (first.label, first.source, first.target) == ("Cause-Effect(e1,e2)", "noise", "panic")


@pytest.mark.parametrize("tuning", ["lora", "prompt", "head"])
def test_a_loaded_tuned_model_repeats_its_predictions(workspace: Workspace, tuning: str) -> None:
    model = make_model(workspace.uploads / "tiny")
    document = {
        "task": "relation-extraction",
        "data": {"train": str(ROWS), "max_length": 24},
        "model": f"path:{model}",
        "tuning": tuning,
        "training": {**TRAINING, "epochs": 2},
    }
    run = Run.create(resolve(RunSpec.parse(document), workspace).spec, workspace)
    assert run_folder(run.folder) == 0, run.status()
    rows = read_predictions(run)
    predictor = Predictor.load(run)
    predictions = predictor.predict([{"text": text} for text in rows["input:text"]])
    assert [prediction.label for prediction in predictions] == list(rows["prediction"])
    assert [prediction.score for prediction in predictions] == pytest.approx(list(rows["score"]), abs=1e-5)
