"""Tasks that continue a prompt, from rows to predictions: trained from scratch, tuned further, judged, compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tiny import make_run
from workbench.check import resolve
from workbench.compare.differences import compare
from workbench.errors import SpecError
from workbench.inference.predictor import Predictor
from workbench.metrics.measures import columns, metric_values
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

pytestmark = pytest.mark.slow  # make test trains each of these tasks once, in tests/contracts

ROWS = Path(__file__).resolve().parent.parent / "rows"
SMALL = {"hidden_size": 32, "layers": 2, "heads": 2, "max_positions": 128, "dropout": 0.0}
INPUTS: dict[str, dict[str, Any]] = {
    "dialogue": {"turns": ["How is the film?", "Good.", "Are you sure?"]},
    "code-generation": {"prompt": "def area(values):"},
    "controlled-generation": {"label": "good", "length": "short"},
}


def train(workspace: Workspace, name: str, model: Any = None, **changes: Any) -> Run:
    spec = RunSpec.parse(
        {
            "task": {"name": name, "max_new_tokens": 8, "written": 5},
            "data": {"train": str(ROWS / f"{name}.jsonl"), "max_length": 64},
            "model": model or {"source": "transformer-decoder", "tokenizer": {"vocab_size": 300}, **SMALL},
            "training": {"epochs": 3, "batch_size": 8, "learning_rate": 3e-3, "device": "cpu", "precision": "fp32"},
        }
    )
    run = Run.create(resolve(spec.changed(changes), workspace).spec, workspace)
    assert run_folder(run.folder) == 0, run.status().error
    return run


@pytest.mark.parametrize("name", INPUTS)
def test_a_prompted_task_is_trained_evaluated_and_queried(name: str, workspace: Workspace) -> None:
    run = train(workspace, name)
    report = run.report()
    assert report is not None and report.primary_metric == "perplexity" and report.smaller_is_better is True
    rows, _ = run.read_metrics()
    evaluated = [row["eval/perplexity"] for row in rows if "eval/perplexity" in row]
    assert evaluated[-1] < evaluated[0]
    assert set(report.metrics) == set(report.baseline)
    saved = read_predictions(run)
    recomputed = metric_values({name: saved[name] for name in columns(report.measures)}, report.measures)
    assert recomputed == {name: pytest.approx(report.metrics[name].value) for name in recomputed}
    assert sum(bool(text) for text in saved["prediction"]) <= 5 < len(saved["id"])
    assert any("task.written" in note for note in report.notes)
    predictor = Predictor.load(run)
    (answer,) = predictor.predict([INPUTS[name]], {"temperature": 0})
    assert isinstance(answer.text, str)
    assert predictor.predict([INPUTS[name]] * 3, {"temperature": 0}) == [answer] * 3


def test_the_baseline_of_further_tuning_is_the_model_before_training(workspace: Workspace) -> None:
    first = train(workspace, "code-generation", **{"task.written": 0})
    second = train(
        workspace,
        "code-generation",
        model=f"run:{first.id}",
        **{"task.written": 0, "tuning": {"method": "lora", "rank": 4}, "training.learning_rate": 1e-2},
    )
    before, after = first.report(), second.report()
    assert before is not None and after is not None
    assert after.baseline["perplexity"] == pytest.approx(before.metrics["perplexity"].value, rel=1e-4)
    assert after.baseline_name == "the model before training"
    assert after.metrics["perplexity"].value < after.baseline["perplexity"]
    comparison = compare([second, first], "perplexity")
    assert comparison.difference == pytest.approx(-after.gain["perplexity"].value, rel=1e-3)
    saved = read_predictions(second)
    assert saved["untouched_nats"] == pytest.approx(read_predictions(first)["nats"], rel=1e-4)


def test_another_run_judges_the_texts(workspace: Workspace) -> None:
    judge = make_run(workspace, {"training.epochs": 1})
    assert run_folder(judge.folder) == 0
    run = train(workspace, "controlled-generation", **{"task.judge": f"run:{judge.id}", "training.epochs": 1})
    report = run.report()
    assert report is not None and report.judge["name"] == f"run:{judge.id}"
    assert 0 <= report.judge["accuracy"] <= 1 and "label_obeyed" in report.metrics


def test_a_judge_without_a_model_is_reported_before_training(workspace: Workspace) -> None:
    unfinished = make_run(workspace)
    changes = {"task.judge": f"run:{unfinished.id}"}
    with pytest.raises(SpecError, match=r"task.judge: The run .* has no model"):
        train(workspace, "controlled-generation", **changes)
    assert not list((workspace.runs).glob("*controlled*/metrics.jsonl"))
