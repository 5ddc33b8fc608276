"""Question answering and multiple choice as whole runs: learning, cached activations, predictions, comparison."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny import GOOD, OTHER, make_run
from workbench.compare.differences import compare
from workbench.errors import DataError
from workbench.inference.predictor import Predictor
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

pytestmark = pytest.mark.slow  # make test trains each of these tasks once, in tests/contracts

FROZEN = {"tuning.method": "freeze", "tuning.layers": 1}


def question_rows(count: int) -> list[dict[str, Any]]:
    """Return questions answered by the one sentiment word of the context (up to four windows); one in four has none."""
    generator = random.Random(0)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        words = generator.choices(OTHER, k=generator.randint(5, 50))
        index = generator.randrange(len(words))
        if number % 4:
            words[index] = generator.choice(GOOD)
        start = len(" ".join([*words[:index], ""]))
        answers = [{"text": words[index], "start": start}] if number % 4 else []
        rows.append({"question": "the film is", "context": " ".join(words), "answers": answers})
    return rows


def choice_rows(count: int) -> list[dict[str, Any]]:
    """Return rows with two to four choices; the right one contains a sentiment word."""
    generator = random.Random(0)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        texts = [" ".join(generator.sample(OTHER, k=6)) for _ in range(2 + number % 3)]
        correct = generator.randrange(len(texts))
        texts[correct] = f"{generator.choice(GOOD)} {texts[correct].rpartition(' ')[0]}"
        texts[correct - 1] += " actors actors"  # the longest choice is wrong
        rows.append({"context": f"the story {number}", "choices": texts, "label": correct})
    return rows


def train(workspace: Workspace, task: str, rows: list[dict[str, Any]], **changes: Any) -> Run:
    data = workspace.uploads / f"{task}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = {"data.train": str(data), "training.epochs": 8, "training.learning_rate": 5e-3, "data.max_length": 32}
    run = make_run(workspace, {"task": task, **settings, **changes}, model={"dropout": 0.0})
    assert run_folder(run.folder) == 0 and run.state == "succeeded", run.status()
    return run


@pytest.fixture
def qa_run(workspace: Workspace) -> Run:
    return train(workspace, "question-answering", question_rows(160), **{"task.stride": 8, **FROZEN})


def test_question_answering(workspace: Workspace, qa_run: Run) -> None:
    report = qa_run.report()
    metrics = {name: value.value for name, value in report.metrics.items()}
    assert metrics["f1"] > 0.9 > report.baseline["f1"] and metrics["exact_match"] > 0.9
    assert metrics["no_answer_accuracy"] > 0.8
    assert report.windows > report.questions and report.frozen_cache["layers"] == 1
    rows = read_predictions(qa_run)
    assert len(rows["id"]) == report.questions
    assert metrics["f1"] == pytest.approx(np.mean(rows["overlap"]))

    predictor = Predictor.load(qa_run)
    context = f"{' '.join(OTHER * 3)} superb {' '.join(OTHER)}"
    unanswerable = " ".join(OTHER)
    inputs = [{"question": "the film is", "context": text} for text in (context, unanswerable)]
    answered, unanswered = predictor.predict(inputs)
    assert answered.text == "superb" == context[answered.span.start : answered.span.end] and not answered.no_answer
    assert unanswered.no_answer and unanswered.text == ""
    (forced,) = predictor.predict(inputs[1:], {"null_bias": -1000})
    assert not forced.no_answer and forced.text in unanswerable
    saved = dict(zip(rows["id"], rows["prediction"], strict=True))
    data = question_rows(160)
    for key, prediction in list(saved.items())[:5]:
        row = data[int(key.rpartition(":")[2]) - 1]
        (again,) = predictor.predict([{"question": row["question"], "context": row["context"]}])
        assert again.text == prediction, "the loaded model must repeat its saved answers"

    short_run = train(
        workspace, "question-answering", question_rows(160), **{"task.stride": 8, "training.max_steps": 1}
    )
    comparison = compare([qa_run, short_run])
    assert comparison.metric == "f1" and comparison.difference > 0


def test_multiple_choice(workspace: Workspace) -> None:
    run = train(workspace, "multiple-choice", choice_rows(160), **FROZEN)
    report = run.report()
    assert report.metrics["accuracy"].value > 0.9 > report.baseline["accuracy"]
    assert report.frozen_cache["layers"] == 1
    rows = read_predictions(run)
    assert report.metrics["accuracy"].value == pytest.approx(np.mean(rows["right"]))
    saved = dict(zip(rows["id"], rows["prediction"], strict=True))
    data = choice_rows(160)
    inputs = [data[int(key.rpartition(":")[2]) - 1] for key in saved]
    answers = Predictor.load(run).predict([{name: row[name] for name in ("context", "choices")} for row in inputs])
    assert [answer.text for answer in answers] == list(saved.values()), "the loaded model must repeat its choices"
    with pytest.raises(DataError, match="Input 1: there is only 1 choice"):
        Predictor.load(run).predict([{"context": "the story", "choices": ["a plot"]}])


def test_a_wrong_label_fails_the_run_and_names_the_row(workspace: Workspace, tmp_path: Path) -> None:
    rows = choice_rows(40)
    rows[30]["label"] = 7
    data = tmp_path / "own.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    run = make_run(workspace, {"task": {"name": "multiple-choice", "labels": "number"}, "data.train": str(data)})
    assert run_folder(run.folder) == 2
    error = run.status().error
    assert "line 31" in error.message and "'7'" in error.message
