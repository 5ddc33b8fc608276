"""Translation and summarization from spec to prediction: trained, evaluated, queried and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workbench.check import check, resolve
from workbench.compare.differences import compare
from workbench.errors import RequestError
from workbench.inference.predictor import Predictor
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

pytestmark = pytest.mark.slow  # make test trains each of these tasks once, in tests/contracts

ROWS = Path(__file__).parents[1] / "rows"
SOURCES = {"encoder-decoder": "transformer-encoder-decoder", "decoder": "transformer-decoder"}
SMALL = {"hidden_size": 32, "layers": 1, "heads": 2, "max_positions": 96, "dropout": 0.0, "norm": "pre"}


def train(workspace: Workspace, task: dict[str, Any], **changes: Any) -> Run:
    spec = RunSpec.parse(
        {
            "task": {"max_new_tokens": 16, **task},
            "data": {"train": str(ROWS / f"{task['name']}.jsonl"), "max_length": 64},
            "model": {
                "source": SOURCES[task.get("architecture", "encoder-decoder")],
                "tokenizer": {"train": "wordpiece", "vocab_size": 300, "lowercase": True, "min_frequency": 1},
                **SMALL,
            },
            "training": {"epochs": 6, "batch_size": 8, "learning_rate": 1e-2, "device": "cpu", "precision": "fp32"},
        }
    ).changed(changes)
    run = Run.create(resolve(spec, workspace).spec, workspace)
    assert run_folder(run.folder) == 0, run.status().error
    return run


@pytest.mark.parametrize("name", ["translation", "summarization"])
@pytest.mark.parametrize("architecture", ["encoder-decoder", "decoder"])
def test_a_seq2seq_task_is_trained_evaluated_and_queried(workspace: Workspace, name: str, architecture: str) -> None:
    run = train(workspace, {"name": name, "architecture": architecture})
    report = run.report()
    assert report is not None and report.metrics.keys() == report.baseline.keys()
    rows, _ = run.read_metrics()
    evaluated = [row["eval/loss"] for row in rows if "eval/loss" in row]
    assert evaluated[-1] < 0.7 * evaluated[0] and report.metrics["loss"].value < report.baseline["loss"]
    saved = read_predictions(run)
    role = {"translation": "source", "summarization": "text"}[name]
    answers = Predictor.load(run).predict([{role: text} for text in saved[f"input:{role}"]])
    assert [answer.text for answer in answers] == saved["prediction"]


def test_runs_that_generated_for_different_examples_are_not_compared(workspace: Workspace) -> None:
    first, second = (train(workspace, {"name": "translation"}, **{"training.seed": seed}) for seed in (0, 1))
    comparison = compare([first, second])
    assert comparison.metric == "chrf" and comparison.low <= comparison.difference <= comparison.high
    for metric in ("bleu", "loss", "bits_per_byte"):
        values = [run.report().metrics[metric].value for run in (first, second)]  # type: ignore[index]
        assert compare([first, second], metric).values == pytest.approx(values)
    fewer = train(workspace, {"name": "translation", "written": 3})
    assert any("3 of" in note for note in fewer.report().notes)  # type: ignore[index]
    with pytest.raises(RequestError, match="tested on different examples"):
        compare([first, fewer])


@pytest.mark.parametrize("preset", ["translate", "summarize"])
def test_presets_are_valid(workspace: Workspace, preset: str) -> None:
    from workbench.check import load_spec

    assert [problem for problem in check(load_spec(preset), workspace) if problem.severity == "error"] == []
