"""Token classification from spec to answer, with every kind of tuning: all weights, an adapter, virtual tokens."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.tiny import make_model
from workbench.check import resolve
from workbench.files import read_json
from workbench.inference.predictor import Predictor
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

pytestmark = pytest.mark.slow  # make test trains each of these tasks once, in tests/contracts

ROWS = Path(__file__).parent.parent / "rows" / "token-classification.jsonl"
TRAINING = {"batch_size": 8, "device": "cpu", "precision": "fp32"}


def test_names_are_learned_by_a_transformer_of_our_own(workspace: Workspace) -> None:
    document = {
        "task": "token-classification",
        "data": str(ROWS),
        "model": {"source": "transformer-encoder", "size": "tiny", "tokenizer": {"train": "wordpiece"}},
        "training": {**TRAINING, "epochs": 25, "learning_rate": 2e-3},
    }
    run = Run.create(resolve(RunSpec.parse(document), workspace).spec, workspace)
    assert run_folder(run.folder) == 0, run.status()
    report = run.report()
    assert report is not None
    assert report.metrics["entity_f1"].value > 0.7
    assert 0 < report.baseline["entity_f1"] <= 1  # a lexicon does well where few names are new
    rows = read_predictions(run)
    assert sum(rows["hits"]) / sum(rows["names"]) == report.metrics["recall"].value
    text = " Mary left New York ."
    (answer,) = Predictor.load(run).predict([{"text": text}])
    assert answer.spans[0].label == "PER" and answer.spans[0].text == "Mary"
    assert all(text[each.start : each.end] == each.text for each in answer.spans)


def test_a_new_head_begins_with_the_shares_of_the_training_tags(workspace: Workspace) -> None:
    rows = [json.loads(line)["tags"] for line in ROWS.read_text(encoding="utf-8").splitlines()]
    model = make_model(workspace.uploads / "tiny")
    document = {
        "task": "token-classification",
        "data": {"train": str(ROWS), "max_length": 24},
        "model": f"path:{model}",
        "training": {**TRAINING, "max_steps": 1, "learning_rate": 1e-12},
    }
    run = Run.create(resolve(RunSpec.parse(document), workspace).spec, workspace)
    assert run_folder(run.folder) == 0, run.status()
    lines = [int(each.rpartition(":")[2]) for each in read_json(run.splits_file)["ids"]["train"]]
    counts = Counter(tag for line in lines for tag in rows[line - 1])
    labels = read_json(run.model_folder / "config.json")["id2label"]
    shares = [counts[labels[str(number)]] + 1 for number in range(len(labels))]
    bias = load_file(run.model_folder / "model.safetensors")["classifier.bias"]
    assert bias.softmax(-1).tolist() == pytest.approx([share / sum(shares) for share in shares], rel=1e-4)


@pytest.mark.parametrize("tuning", ["lora", "prompt", "head"])
def test_a_tuned_model_answers_the_same_when_it_is_loaded(workspace: Workspace, tuning: str) -> None:
    model = make_model(workspace.uploads / "tiny")
    document = {
        "task": "token-classification",
        "data": {"train": str(ROWS), "max_length": 24},
        "model": f"path:{model}",
        "tuning": tuning,
        "training": {**TRAINING, "epochs": 2},
    }
    run = Run.create(resolve(RunSpec.parse(document), workspace).spec, workspace)
    assert run_folder(run.folder) == 0, run.status()
    rows = read_predictions(run)
    predictor = Predictor.load(run)
    again = predictor.predict([{"words": text.split()} for text in rows["input:text"]])
    messages = ["; ".join(f"{e.text} ({e.label})" for e in each.spans) for each in again]
    assert messages == list(rows["prediction"])
