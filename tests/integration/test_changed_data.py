"""A run is only resumed with the data that it started with."""

from __future__ import annotations

import pytest

from tests.tiny import make_run, write_csv
from workbench.jobs import resume
from workbench.training.reporter import RunReporter
from workbench.training.runner import run_folder


@pytest.fixture
def stopped(workspace, monkeypatch):
    """A run stopped after its fifth step."""
    run = make_run(workspace)
    with monkeypatch.context() as patch:
        patch.setattr(RunReporter, "stop_requested", lambda reporter: reporter.step >= 5)
        assert run_folder(run.folder) == 0
    assert run.state == "stopped"
    return run


def test_changed_data_is_refused_and_nothing_is_lost(stopped, workspace):
    rows = stopped.read_metrics()[0]
    data = workspace.uploads / "reviews.csv"
    original = data.read_bytes()
    write_csv(data, seed=5)
    resume(stopped, workspace, start=False)
    assert run_folder(stopped.folder) == 2
    assert stopped.state == "failed"
    assert "has changed since it began" in stopped.status().error.message
    assert stopped.read_metrics()[0] == rows

    data.write_bytes(original)
    resume(stopped, workspace, start=False)
    assert run_folder(stopped.folder) == 0
    assert stopped.state == "succeeded"


def test_a_run_that_never_trained_uses_the_current_data(workspace):
    run = make_run(workspace)
    data = workspace.uploads / "reviews.csv"
    data.write_text("text,label\nonly one class,good\nand again,good\nthird,good\nfourth,good\nfifth,good\n")
    assert run_folder(run.folder) == 2
    write_csv(data)
    resume(run, workspace, start=False)
    assert run_folder(run.folder) == 0
