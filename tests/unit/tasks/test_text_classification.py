"""Text classification: metrics that equal scikit-learn's, labels of any text, one or several for each example."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from tests.tiny import make_run, reviews
from workbench.data.load import Examples
from workbench.inference.predictor import Predictor
from workbench.runs.predictions import example_inputs, input_text, read_predictions
from workbench.runs.run import Run
from workbench.tasks.text_classification import TextClassification
from workbench.training.runner import run_folder
from workbench.workspace import Workspace


def make_task(labels: list[str], **options: Any) -> TextClassification:
    task = TextClassification(TextClassification.Config(**options))
    task.labels = labels
    return task


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("classes", [2, 5])
def test_single_label_report(classes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    names = [f"class {i}" for i in range(classes)]
    gold, train = generator.integers(0, classes, 150), np.array([0] * 3 + [classes - 1] * 5 + list(range(classes)))
    outputs = generator.dirichlet(np.ones(classes), 150).astype(np.float32)
    outputs[np.arange(150), gold] += generator.random(150) * 0.5
    predicted = outputs.argmax(1)
    report = make_task(names).report(outputs, gold, train)
    expected = {
        "accuracy": reference.accuracy_score(gold, predicted),
        "macro_f1": reference.f1_score(gold, predicted, average="macro"),
        "matthews": reference.matthews_corrcoef(gold, predicted),
    }
    assert {name: value["value"] for name, value in report["metrics"].items()} == pytest.approx(expected)
    assert make_task(names).metrics(outputs, gold) == pytest.approx(expected)
    for value in report["metrics"].values():
        assert value["low"] <= value["value"] <= value["high"]
    assert report["confusion"] == reference.confusion_matrix(gold, predicted).tolist()
    np.testing.assert_array_equal(
        make_task(names).confusion(outputs, gold), reference.confusion_matrix(gold, predicted)
    )
    always = np.full(150, classes - 1)
    assert report["baseline"]["accuracy"] == pytest.approx(reference.accuracy_score(gold, always))
    assert names[-1] in report["baseline_name"], "the most frequent of TRAIN, not of test"
    precision, recall, f1, _ = reference.precision_recall_fscore_support(gold, predicted, zero_division=0)
    for i, name in enumerate(names):
        each = report["per_class"][name]
        assert (each["precision"], each["recall"], each["f1"]) == pytest.approx((precision[i], recall[i], f1[i]))


@pytest.mark.parametrize("seed", range(4))
def test_multi_label_report(seed: int) -> None:
    generator = np.random.default_rng(seed)
    gold = (generator.random((120, 4)) < [0.1, 0.3, 0.6, 0.5]).astype(np.float32)
    outputs = (gold * 0.3 + generator.random((120, 4)) * 0.7).astype(np.float32)
    task = make_task(["a", "b", "c", "d"], multi_label=True, threshold=0.4)
    predicted = outputs >= 0.4
    assert task.confusion(outputs, gold) is None  # an example may have several labels
    metrics = task.report(outputs, gold, gold)["metrics"]
    assert metrics["macro_f1"]["value"] == pytest.approx(
        reference.f1_score(gold, predicted, average="macro", zero_division=0)
    )
    micro = [name for name in metrics if "micro" in name]
    for name in micro:
        assert metrics[name]["value"] == pytest.approx(reference.f1_score(gold, predicted, average="micro"))
    exact = [name for name in metrics if name in ("exact_match", "subset_accuracy", "accuracy")]
    for name in exact:
        assert metrics[name]["value"] == pytest.approx(reference.accuracy_score(gold, predicted))
    for value in metrics.values():
        assert value["low"] <= value["value"] <= value["high"]
    for name, probabilities in zip(["a", "b", "c", "d"], np.eye(4), strict=True):
        (answer,) = task.decode(probabilities[None])
        assert answer.labels == (name,) and answer.label == name
    assert task.decode(np.zeros((1, 4)))[0].labels == ()


ODD = ["a|b", "two\nlines", "😀", "<script>alert(1)</script>", 'say "yes"', "0", "好评", "a,b;c"]


def train(workspace: Workspace, rows: list[dict[str, str]], **changes: Any) -> Run:
    path = workspace.uploads / "own.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    settings = {"data.train": str(path), "data.max_length": 32, "training.max_steps": 4, "training.epochs": 1}
    run = make_run(workspace, {**settings, **changes})
    assert run_folder(run.folder) == 0, run.status().error
    return run


def test_labels_may_be_any_text(workspace: Workspace) -> None:
    rows = [{"text": text, "label": ODD[i % len(ODD)]} for i, (text, _) in enumerate(reviews(120))]
    run = train(workspace, rows)
    predictor = Predictor.load(run)
    assert predictor.labels == sorted(ODD)
    (answer,) = predictor.predict([{"text": "a great film"}])
    assert set(answer.scores) == set(ODD) and answer.label in ODD
    predictions = read_predictions(run)
    assert set(predictions["gold"]) == set(ODD) and {f"score:{label}" for label in ODD} <= set(predictions)
    assert json.loads(run.report_file.read_text())["labels"] == sorted(ODD)


def test_several_labels_from_file_to_prediction(workspace: Workspace) -> None:
    rows = []
    for i, (text, label) in enumerate(reviews(120)):
        rows.append({"text": text, "labels": "|".join([label] * (i % 5 > 0) + ["long"] * (len(text) > 60))})
    run = train(workspace, rows, **{"task": {"name": "text-classification", "multi_label": True}})
    predictor = Predictor.load(run)
    assert predictor.labels == ["bad", "good", "long"]
    (answer,) = predictor.predict([{"text": "a great film"}])
    assert list(answer.labels) == [label for label, p in answer.scores.items() if p >= 0.5]
    report = run.report()
    assert report.primary_metric == "macro_f1" and report.baseline_name
    assert set(report.per_class) == {"bad", "good", "long"}


def test_pairs_from_file_to_prediction(workspace: Workspace) -> None:
    texts = [text for text, _ in reviews(120)]
    rows = [
        {"text": a, "text_pair": a if i % 2 else b, "label": "same" if i % 2 else "other"}
        for i, (a, b) in enumerate(zip(texts, texts[1:] + texts[:1], strict=True))
    ]
    run = train(workspace, rows, **{"task": {"name": "text-classification", "pairs": True}})
    predictor = Predictor.load(run)
    first, second = predictor.predict([{"text": "a film", "text_pair": t} for t in ("a film", "dull story with music")])
    assert first.scores != second.scores, "the second text matters"
    predictions = read_predictions(run)
    assert len(set(predictions["input:text"])) > 1 and len(set(predictions["input:text_pair"])) > 1
    assert "⟂" in input_text(example_inputs(predictions)[0])


def test_an_input_without_text_is_refused_with_its_number() -> None:
    from workbench.errors import DataError

    with pytest.raises(DataError, match="Input 2 has no text"):
        make_task(["a", "b"]).encode_inputs(None, [{"text": "x"}, {"text": "  "}], 8)
    with pytest.raises(DataError, match="only one class"):
        make_task([]).fit(Examples({"text": ["a"], "label": ["x"]}, ["1"], [1]))


@pytest.mark.mirror
def test_chinese_reviews(workspace: Workspace, mirror: Path) -> None:
    """Through the tiny tokenizer every character is unknown; what counts is that the texts come through whole."""
    limit = {"train": 40, "valid": 10, "test": 20}
    changes = {"data": {"train": "chnsenticorp-hotel", "limit": limit, "max_length": 32}, "training.max_steps": 2}
    run = make_run(workspace, {**changes, "training.epochs": 1})
    assert run_folder(run.folder) == 0, run.status().error
    saved = read_predictions(run)
    assert set(saved["gold"]) == {"0", "1"} and len(saved["gold"]) == 20
    assert any("酒店" in text for text in saved["input:text"])
    assert Predictor.load(run).predict([{"text": "房间很干净,服务也好。"}])[0].label in ("0", "1")
