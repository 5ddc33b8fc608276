"""Additional columns of a CSV file, from a small run to the slices that Compare shows."""

from __future__ import annotations

import csv
from pathlib import Path

from tests import tiny
from workbench.compare.classified import read_class_predictions
from workbench.compare.slices import slices_by_number, slices_by_value
from workbench.runs.predictions import read_predictions
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

SOURCES = ("letter", "telephone", "web")
HEADER = ["text", "label", "source", "stars", "correct", "score:bad", "key"]


def write_rows(path: Path) -> dict[str, list[str]]:
    """Write reviews with extra columns, some named like columns of a run; return the rows by their text."""
    rows = [
        [text, label, SOURCES[i % 3], str(i / 10), "no", "7", f"secret {i}"]
        for i, (text, label) in enumerate(tiny.reviews(120))
    ]
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return {row[0]: row for row in rows}


def test_results_can_be_sliced_by_any_column_of_the_file(workspace: Workspace) -> None:
    data = workspace.uploads / "mail.csv"
    data.parent.mkdir(parents=True, exist_ok=True)
    rows = write_rows(data)
    run = tiny.make_run(workspace, {"data.train": str(data), "training.epochs": 1})
    assert run_folder(run.folder) == 0, run.log()
    saved = read_predictions(run)
    assert len(saved["id"]) > 10
    for index, text in enumerate(saved["input:text"]):
        values = [saved[f"column:{name}"][index] for name in HEADER[2:]]
        assert [str(value) for value in values] == rows[text][2:]
    assert set(saved["correct"]) <= {True, False}  # not the user's column of that name
    assert max(saved["score:bad"]) <= 1
    predictions = read_class_predictions(run)
    assert predictions is not None and "source" in predictions.more
    assert "key" not in predictions.more  # it has a different value in each row
    by_source = slices_by_value(predictions.more["source"], predictions.correct)
    assert {each.name for each in by_source} <= set(SOURCES)
    assert sum(each.count for each in by_source) == len(predictions)
    by_stars = slices_by_number(predictions.more["stars"], predictions.correct)
    assert len(by_stars) == 4 and sum(each.n_correct for each in by_stars) == sum(predictions.correct)
