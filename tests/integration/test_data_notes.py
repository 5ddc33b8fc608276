"""What was found in the data reaches everyone who reads a run: report, log, command line, page and prediction."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests import tiny
from workbench.cli.app import app
from workbench.compare.report import comparison_report
from workbench.files import read_json
from workbench.runs.report_notes import WarningNote, warnings_in
from workbench.runs.run import Run
from workbench.training.reporter import RunReporter
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

OVERLAP = "occur in train too"
TRUNCATED = "Texts longer than 8 tokens (data.max_length) are truncated"


def write(path: Path, rows: list[tuple[str, str]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return str(path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose test file repeats 20 training texts, and whose texts are longer than it reads."""
    workspace = Workspace(tmp_path_factory.mktemp("notes"))
    rows = [(f"{text} really really quite very the end of the film", label) for text, label in tiny.reviews(80)]
    changes = {
        "data.train": write(workspace.uploads / "train.csv", rows),
        "data.test": write(workspace.uploads / "test.csv", rows[:20]),
        "data.max_length": 8,
        "training.epochs": 1,
    }
    run = tiny.make_run(workspace, changes)
    assert run_folder(run.folder) == 0, run.log()
    return run


def test_the_report_begins_with_the_warnings_on_the_data(finished: Run) -> None:
    report = finished.report()
    assert report is not None
    warnings = warnings_in(report.marked_notes())
    assert any(OVERLAP in note for note in warnings) and any(TRUNCATED in note for note in warnings)
    assert report.notes[: len(warnings)] == warnings, "warnings must precede everything else"
    assert any("because of its name" in note for note in report.notes[len(warnings) :])
    (truncated,) = [note for note in warnings if TRUNCATED in note]
    assert "test 20 of 20 (100%)" in truncated and "data.max_length: " in truncated


def test_the_data_document_has_the_severity(finished: Run) -> None:
    notes = read_json(finished.data_file)["notes"]
    assert {note["severity"] for note in notes} == {"warning", "info"}
    assert next(note for note in notes if OVERLAP in note["message"])["severity"] == "warning"
    assert finished.data_notes() == [note["message"] for note in notes]


def test_the_log_marks_warnings(finished: Run, capsys: pytest.CaptureFixture[str]) -> None:
    reporter = RunReporter(finished)
    reporter.note(WarningNote("twelve texts"))
    reporter.note("one line")
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("  Warning: twelve texts") and second.endswith("  one line")


def test_commands_show_the_notes_and_mark_warnings(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(finished.workspace.root))
    shown = CliRunner().invoke(app, ["show", finished.id]).stdout
    assert any(line.startswith("Warning: ") and OVERLAP in line for line in shown.splitlines()), shown
    assert any(line.startswith("Note: ") and "because of its name" in line for line in shown.splitlines())
    page = finished.folder / "run.html"
    CliRunner().invoke(app, ["show", finished.id, "--html", str(page)])
    assert "<b>Warning:</b> Texts longer than 8 tokens" in page.read_text()


def test_predict_says_which_texts_were_truncated(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(finished.workspace.root))
    texts = ["--text", "the film is great", "--text", "the film is great " * 20]
    result = CliRunner().invoke(app, ["predict", finished.id, *texts, "--json"])
    assert len(json.loads(result.stdout)) == 2, "the document must stay alone on standard output"
    assert "Warning: 1 of 2 texts is longer than 8 tokens" in " ".join(result.stderr.split())
    result = CliRunner().invoke(app, ["predict", finished.id, *texts[:2]])
    assert "Warning" not in result.stderr


def test_a_comparison_lists_a_shared_note_once(finished: Run) -> None:
    spec = finished.spec().changed({"training.seed": 1})
    other = Run.create(spec, finished.workspace)
    assert run_folder(other.folder) == 0, other.log()
    report = comparison_report([finished, other])
    assert report.count(OVERLAP) == 1 and "<b>Warning:</b>" in report and "all runs" in report
