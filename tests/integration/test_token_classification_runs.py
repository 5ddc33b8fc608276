"""Token classification from spec to prediction with every kind of tuning: full, adapter, prompt and head."""

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


def test_our_transformer_learns_names_from_scratch(workspace: Workspace) -> None:
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
    assert 0 < report.baseline["entity_f1"] <= 1  # a lexicon does well when few names are new
    rows = read_predictions(run)
    assert sum(rows["hits"]) / sum(rows["names"]) == report.metrics["recall"].value
    text = " Mary left New York ."
    (answer,) = Predictor.load(run).predict([{"text": text}])
    assert answer.spans[0].label == "PER" and answer.spans[0].text == "Mary"
    assert all(text[span.start : span.end] == span.text for span in answer.spans)


def test_a_new_head_is_initialized_with_the_tag_frequencies(workspace: Workspace) -> None:
    tags_of_rows = [json.loads(line)["tags"] for line in ROWS.read_text(encoding="utf-8").splitlines()]
    model = make_model(workspace.uploads / "tiny")
    document = {
        "task": "token-classification",
        "data": {"train": str(ROWS), "max_length": 24},
        "model": f"path:{model}",
        "training": {**TRAINING, "max_steps": 1, "learning_rate": 1e-12},
    }
    run = Run.create(resolve(RunSpec.parse(document), workspace).spec, workspace)
    assert run_folder(run.folder) == 0, run.status()
    lines = [int(row_id.rpartition(":")[2]) for row_id in read_json(run.splits_file)["ids"]["train"]]
    counts = Counter(tag for line in lines for tag in tags_of_rows[line - 1])
    labels = read_json(run.model_folder / "config.json")["id2label"]
    smoothed = [counts[labels[str(number)]] + 1 for number in range(len(labels))]
    bias = load_file(run.model_folder / "model.safetensors")["classifier.bias"]
    assert bias.softmax(-1).tolist() == pytest.approx([count / sum(smoothed) for count in smoothed], rel=1e-4)


@pytest.mark.parametrize("tuning", ["lora", "prompt", "head"])
def test_a_loaded_tuned_model_repeats_its_predictions(workspace: Workspace, tuning: str) -> None:
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
    predictions = predictor.predict([{"words": text.split()} for text in rows["input:text"]])
    texts = ["; ".join(f"{span.text} ({span.label})" for span in each.spans) for each in predictions]
    assert texts == list(rows["prediction"])
