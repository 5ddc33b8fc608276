"""Question answering and multiple choice through whole runs: they learn, replay frozen layers, answer and compare."""

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


def questions(count: int) -> list[dict[str, Any]]:
    """The answer is the one telling word of a context that takes up to four windows; one context in four has none."""
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


def choices(count: int) -> list[dict[str, Any]]:
    """The right choice is the one with a telling word; there are two to four of them."""
    generator = random.Random(0)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        texts = [" ".join(generator.sample(OTHER, k=6)) for _ in range(2 + number % 3)]
        right = generator.randrange(len(texts))
        texts[right] = f"{generator.choice(GOOD)} {texts[right].rpartition(' ')[0]}"
        texts[right - 1] += " actors actors"  # the longest is a wrong one
        rows.append({"context": f"the story {number}", "choices": texts, "label": right})
    return rows


def finished(workspace: Workspace, task: str, rows: list[dict[str, Any]], **changes: Any) -> Run:
    data = workspace.uploads / f"{task}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = {"data.train": str(data), "training.epochs": 8, "training.learning_rate": 5e-3, "data.max_length": 32}
    run = make_run(workspace, {"task": task, **settings, **changes}, model={"dropout": 0.0})
    assert run_folder(run.folder) == 0 and run.state == "succeeded", run.status()
    return run


@pytest.fixture
def run_of_questions(workspace: Workspace) -> Run:
    return finished(workspace, "question-answering", questions(160), **{"task.stride": 8, **FROZEN})


def test_question_answering(workspace: Workspace, run_of_questions: Run) -> None:
    report = run_of_questions.report()
    figures = {name: value.value for name, value in report.metrics.items()}
    assert figures["f1"] > 0.9 > report.baseline["f1"] and figures["exact_match"] > 0.9
    assert figures["no_answer_accuracy"] > 0.8
    assert report.windows > report.questions and report.frozen_cache["layers"] == 1
    rows = read_predictions(run_of_questions)
    assert len(rows["id"]) == report.questions
    assert figures["f1"] == pytest.approx(np.mean(rows["overlap"]))

    predictor = Predictor.load(run_of_questions)
    context = f"{' '.join(OTHER * 3)} superb {' '.join(OTHER)}"
    nothing = " ".join(OTHER)
    question = [{"question": "the film is", "context": text} for text in (context, nothing)]
    result, silent = predictor.predict(question)
    assert result.text == "superb" == context[result.span.start : result.span.end] and not result.no_answer
    assert silent.no_answer and silent.text == ""
    (forced,) = predictor.predict(question[1:], {"null_bias": -1000})
    assert not forced.no_answer and forced.text in nothing
    messages = dict(zip(rows["id"], rows["prediction"], strict=True))
    inputs = questions(160)
    for key, prediction in list(messages.items())[:5]:
        row = inputs[int(key.rpartition(":")[2]) - 1]
        (again,) = predictor.predict([{"question": row["question"], "context": row["context"]}])
        assert again.text == prediction, "loaded again it answers as it did"

    other = finished(workspace, "question-answering", questions(160), **{"task.stride": 8, "training.max_steps": 1})
    compared = compare([run_of_questions, other])
    assert compared.metric == "f1" and compared.difference > 0


def test_multiple_choice(workspace: Workspace) -> None:
    run = finished(workspace, "multiple-choice", choices(160), **FROZEN)
    report = run.report()
    assert report.metrics["accuracy"].value > 0.9 > report.baseline["accuracy"]
    assert report.frozen_cache["layers"] == 1
    rows = read_predictions(run)
    assert report.metrics["accuracy"].value == pytest.approx(np.mean(rows["right"]))
    messages = dict(zip(rows["id"], rows["prediction"], strict=True))
    question = [choices(160)[int(key.rpartition(":")[2]) - 1] for key in messages]
    result = Predictor.load(run).predict([{name: each[name] for name in ("context", "choices")} for each in question])
    assert [each.text for each in result] == list(messages.values()), "loaded again it chooses as it did"
    with pytest.raises(DataError, match="Input 1: there is 1 choice"):
        Predictor.load(run).predict([{"context": "the story", "choices": ["a plot"]}])


def test_a_wrong_label_ends_the_run_with_its_row(workspace: Workspace, tmp_path: Path) -> None:
    rows = choices(40)
    rows[30]["label"] = 7
    data = tmp_path / "own.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    run = make_run(workspace, {"task": {"name": "multiple-choice", "labels": "number"}, "data.train": str(data)})
    assert run_folder(run.folder) == 2
    error = run.status().error
    assert "line 31" in error.message and "'7'" in error.message
