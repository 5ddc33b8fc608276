"""Sentence similarity and recommendation from spec to prediction: small runs, evaluated, compared and queried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tiny import make_model, write_csv
from workbench.check import resolve
from workbench.compare.differences import compare
from workbench.errors import SpecError
from workbench.explain.instance import Instance
from workbench.explain.targets import resolve_target
from workbench.inference.predictor import Predictor
from workbench.runs.documents import Report
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

pytestmark = pytest.mark.slow  # make test trains each of these tasks once, in tests/contracts

ROWS = Path(__file__).parent.parent / "rows"
SMALL = {"source": "transformer-encoder", "hidden_size": 32, "layers": 1, "heads": 2, "max_positions": 64}


def train(workspace: Workspace, task: Any, data: Path, model: Any, **changes: Any) -> Run:
    spec = RunSpec.parse(
        {
            "task": task,
            "data": {"train": str(data), "max_length": 32},
            "model": model,
            "training": {"epochs": 4, "batch_size": 16, "learning_rate": 3e-3, "device": "cpu", "precision": "fp32"},
        }
    )
    run = Run.create(resolve(spec.changed(changes), workspace).spec, workspace)
    assert run_folder(run.folder) == 0, run.status().error
    return run


LABELS = {"name": "sentence-similarity", "pairs_from_labels": True}


def report_of(run: Run) -> Report:
    report = run.report()
    assert report is not None
    return report


@pytest.mark.parametrize("tuning", ["full", "lora", "prompt"])
def test_texts_with_the_same_label_become_similar(workspace: Workspace, tuning: str) -> None:
    folder, data = make_model(workspace.uploads / "tiny", layers=1), write_csv(workspace.uploads / "reviews.csv", 160)
    epochs = 16 if tuning == "full" else 2
    run = train(workspace, LABELS, data, f"path:{folder}", tuning=tuning, **{"training.epochs": epochs})
    report = report_of(run)
    assert report.metrics.keys() - {"loss", "spearman"} == report.baseline.keys() - {"spearman"}
    assert report.metrics.keys() == {"loss", "recall@1", "recall@5", "mrr", "spearman"}
    assert report.baseline_name == max(report.baselines, key=lambda name: report.baselines[name]["recall@1"])
    assert set(report.baselines) == {"the model before training", "words in common (TF-IDF)"}
    if tuning == "full":
        rows, _ = run.read_metrics()
        losses = [row["eval/loss"] for row in rows if "eval/loss" in row]
        assert losses[-1] < losses[0]
        assert report.metrics["mrr"].value > report.baselines["the model before training"]["mrr"] + 0.1
    saved = read_predictions(run)
    hits = [hit for hit in saved["correct"] if hit is not None]
    assert sum(hits) / len(hits) == pytest.approx(report.metrics["recall@1"].value)
    predictor = Predictor.load(run)
    (nearest,) = predictor.predict([{"text": saved["input:text"][0], "candidates": saved["input:text"][1:]}])
    assert nearest.score == pytest.approx(saved["score"][0], abs=1e-4), "the loaded model must be the trained one"
    assert nearest.text == saved["nearest"][0]


def test_an_unchanged_model_equals_its_baseline(workspace: Workspace) -> None:
    folder, data = make_model(workspace.uploads / "tiny", layers=1), write_csv(workspace.uploads / "reviews.csv", 80)
    unchanged = train(workspace, LABELS, data, f"path:{folder}", **{"training.learning_rate": 1e-12})
    report = report_of(unchanged)
    before = report.baselines["the model before training"]
    assert {name: report.metrics[name].value for name in before} == before
    trained = train(workspace, LABELS, data, f"path:{folder}")
    comparison = compare([trained, unchanged])
    assert comparison.metric == "recall@1"
    values = [report_of(run).metrics["recall@1"].value for run in (trained, unchanged)]
    assert comparison.values == pytest.approx(values)


def test_pairs_are_learned_from_scratch(workspace: Workspace) -> None:
    model = {**SMALL, "tokenizer": {"vocab_size": 200}}
    run = train(
        workspace, "sentence-similarity", ROWS / "sentence-similarity.jsonl", model, **{"data.holdout.valid": 0.1}
    )
    assert report_of(run).baseline_name == "the model before training (random weights)"
    (result,) = Predictor.load(run).predict([{"text_a": "my card was stolen", "text_b": "my card was stolen"}])
    assert result.score == pytest.approx(1.0, abs=1e-5)


def test_tuning_only_the_head_is_refused(workspace: Workspace) -> None:
    folder, data = make_model(workspace.uploads / "tiny", layers=1), write_csv(workspace.uploads / "reviews.csv", 80)
    spec = RunSpec.parse({"task": LABELS, "data": str(data), "model": f"path:{folder}", "tuning": "head"})
    with pytest.raises(SpecError, match="without a head"):
        resolve(spec, workspace)


def test_recommendation(workspace: Workspace) -> None:
    model = {**SMALL, "tokenizer": {"vocab_size": 200}}
    run = train(
        workspace,
        "recommendation",
        ROWS / "recommendation.jsonl",
        model,
        **{"data.group": "user", "training.epochs": 8},
    )
    report = report_of(run)
    assert report.primary_metric == "auc" and report.baseline.keys() == {"auc", "ndcg@10", "recall@10"}
    assert report.users >= 1 and "popularity" in report.baseline_name
    saved = read_predictions(run)
    history, candidate = saved["input:history"][1], saved["input:candidate"][1]
    predictor = Predictor.load(run)
    (result,) = predictor.predict([{"history": history, "candidates": [candidate]}])
    assert result.score == pytest.approx(saved["score"][1], abs=1e-4)
    explained = resolve_target(Instance(predictor, history or "a film", candidate), "liked")
    assert explained.label == "liked" and set(explained.prediction["scores"]) == {"liked", "not liked"}
