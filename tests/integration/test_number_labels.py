"""Labels that are numbers: new runs learn them in the order of numbers, and runs of earlier versions keep their order.

Earlier versions sorted all labels as text: 0, 1, 10, 11, 2 ...
"""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.tiny import BAD, GOOD, make_run
from workbench.compare.confusion import confusion_matrix
from workbench.explain.base_model import load_base_model
from workbench.files import read_json, write_json
from workbench.inference.predictor import Predictor
from workbench.jobs import resume
from workbench.metrics import label_order
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run
from workbench.training.reporter import RunReporter
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

NUMBERS = [str(number) for number in range(12)]


def make_numbers_run(workspace: Workspace, **changes: Any) -> Run:
    """Return a queued run with the labels 0 to 11, each with words of its own."""
    words = [*GOOD, *BAD, "music", "plot"]
    path = workspace.uploads.joinpath("numbers.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(
            ((f"{words[i % 12]} the film {words[i % 12]} " + "very " * (i // 12)), i % 12) for i in range(120)
        )
    return make_run(workspace, {"data.train": str(path), "training.max_steps": 40, **changes})


@pytest.fixture
def earlier_version(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The order of earlier versions, until ``undo`` is called."""
    monkeypatch.setattr(label_order, "_key", lambda label: (True, Decimal(0), label))
    return monkeypatch


def labels_of(run: Run) -> dict[int, str]:
    config = json.loads((run.model_folder / "config.json").read_text())
    return {int(number): label for number, label in config["id2label"].items()}


def test_index_and_number_agree(workspace: Workspace) -> None:
    run = make_numbers_run(workspace)
    assert run_folder(run.folder) == 0
    assert labels_of(run) == dict(enumerate(NUMBERS))
    report, splits = run.report(), run.splits()
    assert report is not None and report.labels == NUMBERS
    assert splits is not None and splits.labels == NUMBERS
    rows = read_predictions(run)
    assert [name for name in rows if name.startswith("score:")] == [f"score:{number}" for number in NUMBERS]
    assert confusion_matrix(rows["gold"], rows["gold"]).labels == tuple(NUMBERS)


def test_a_run_of_an_earlier_version_keeps_its_order(workspace: Workspace, earlier_version: pytest.MonkeyPatch) -> None:
    run = make_numbers_run(workspace, **{"training.epochs": 20, "training.max_steps": 200})
    assert run_folder(run.folder) == 0
    earlier_version.undo()
    predictor, rows = Predictor.load(run), read_predictions(run)
    assert predictor.labels == sorted(NUMBERS)
    answers = predictor.predict([{"text": text} for text in rows["input:text"]])
    assert [answer.label for answer in answers] == rows["prediction"]  # type: ignore[union-attr]
    assert load_base_model(run, predictor).labels == sorted(NUMBERS)

    further = make_numbers_run(workspace, **{"model": f"run:{run.id}", "training.learning_rate": 1e-9})
    assert run_folder(further.folder) == 0
    assert labels_of(further) == dict(enumerate(sorted(NUMBERS)))
    np.testing.assert_allclose(read_predictions(further)["score"], rows["score"], atol=1e-4)


def test_a_stopped_run_of_an_earlier_version_is_resumed_in_its_order(
    workspace: Workspace, earlier_version: pytest.MonkeyPatch
) -> None:
    uninterrupted, stopped = make_numbers_run(workspace), make_numbers_run(workspace)
    assert run_folder(uninterrupted.folder) == 0
    with earlier_version.context() as patch:
        patch.setattr(RunReporter, "stop_requested", lambda reporter: reporter.step >= 20)
        assert run_folder(stopped.folder) == 0 and stopped.state == "stopped"
    earlier_version.undo()
    splits = read_json(stopped.splits_file)
    assert isinstance(splits, dict) and splits.pop("labels") == sorted(NUMBERS)
    write_json(stopped.splits_file, splits)
    resume(stopped, workspace, start=False)
    assert run_folder(stopped.folder) == 0
    assert labels_of(stopped) == dict(enumerate(sorted(NUMBERS)))
    expected, actual = (load_file(run.model_folder / "model.safetensors") for run in (uninterrupted, stopped))
    assert all(np.array_equal(expected[name], actual[name]) for name in expected)


def test_a_resumed_run_keeps_the_order_that_it_wrote(workspace: Workspace, earlier_version: pytest.MonkeyPatch) -> None:
    run = make_numbers_run(workspace)
    with earlier_version.context() as patch:
        patch.setattr(RunReporter, "stop_requested", lambda reporter: reporter.step >= 20)
        assert run_folder(run.folder) == 0 and run.state == "stopped"
    earlier_version.undo()
    resume(run, workspace, start=False)
    assert run_folder(run.folder) == 0
    assert labels_of(run) == dict(enumerate(sorted(NUMBERS)))
