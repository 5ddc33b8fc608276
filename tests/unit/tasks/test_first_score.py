"""The first score of a file: the same splits as a run, and the same simple model as a run's report."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import reviews
from workbench.check.contents import load_examples
from workbench.check.first_score import first_score
from workbench.check.resolving import make_task
from workbench.spec import RunSpec
from workbench.tasks.shared.baselines import tfidf
from workbench.workspace import Workspace


def spec(path: Path, rows: list[tuple[str, object]], task: object, label: str = "label") -> RunSpec:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", label])
        writer.writerows(rows)
    return RunSpec.parse({"task": task, "data": str(path), "model": "auto"})


def test_the_score_is_that_of_tfidf_on_the_test_split(tmp_path: Path, workspace: Workspace) -> None:
    rows = [(text, label if i % 5 else "good") for i, (text, label) in enumerate(reviews(200))]
    document = spec(tmp_path / "rows.csv", rows, "text-classification")
    score = first_score(document, workspace)
    assert score is not None and score["metric"] == "accuracy"
    task = make_task(document)
    dataset = load_examples(document.data, task, workspace)
    index = {name: i for i, name in enumerate(task.labels)}
    known, gold = (
        np.array([index[each] for each in split.columns["label"]]) for split in (dataset.train, dataset.test)
    )
    answers = tfidf.predict_labels(dataset.train.columns["text"], known, dataset.test.columns["text"], 2)
    assert score["value"] == pytest.approx(float(np.mean(answers == gold)))
    assert score["guess"] == pytest.approx(float(np.mean(gold == np.bincount(known).argmax())))
    assert score["low"] <= score["value"] <= score["high"]
    assert (score["train"], score["test"]) == (len(dataset.train), len(dataset.test))


def test_several_labels_and_numbers_have_a_first_score_too(tmp_path: Path, workspace: Workspace) -> None:
    several = [(text, "film|new" if label == "good" else "film") for text, label in reviews(120)]
    score = first_score(
        spec(tmp_path / "several.csv", several, {"name": "text-classification", "multi_label": True}), workspace
    )
    assert score is not None and score["metric"] == "macro_f1" and score["value"] > score["guess"]
    numbers: list[tuple[str, object]] = [(text, 5 if label == "good" else 1) for text, label in reviews(120)]
    score = first_score(spec(tmp_path / "numbers.csv", numbers, "text-regression", "stars"), workspace)
    assert score is not None and score["metric"] == "r2" and score["value"] > score["guess"]


def test_large_files_are_sampled_evenly(tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.check import first_score as module

    monkeypatch.setattr(module, "MAX_TRAIN", 50)
    monkeypatch.setattr(module, "MAX_TEST", 10)
    rows: list[tuple[str, object]] = list(reviews(200))
    score = first_score(spec(tmp_path / "rows.csv", rows, "text-classification"), workspace)
    assert score is not None and (score["train"], score["test"]) == (50, 10)


def test_a_task_without_a_simple_model_has_none(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("text\n" + "".join(f"{text}\n" for text, _ in reviews(60)))
    assert first_score(RunSpec.parse({"task": "masked-lm", "data": str(path), "model": "auto"}), workspace) is None
