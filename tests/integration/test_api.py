"""``workbench.run``: through the queue for users, in the caller's own process at the course's test scale."""

from __future__ import annotations

import os
import signal

import pytest

import workbench as wb
from tests.tiny import fill_with_nan, make_run
from workbench.errors import RunError
from workbench.jobs import stop_worker, worker_status
from workbench.spec import RunSpec
from workbench.workspace import Workspace


def tiny_spec(workspace: Workspace, **changes: object) -> RunSpec:
    """Return the tiny run's spec without leaving a queued run."""
    run = make_run(workspace, {"training.epochs": 1, **changes})
    run.transition(("queued",), "stopped")  # so that no worker takes it from the queue
    return run.spec()


def test_a_run_goes_through_the_queue_and_is_reused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_COURSE_SCALE", "cpu")
    spec = tiny_spec(workspace)
    try:
        run = wb.run(spec)
    finally:
        stop_worker(workspace)
    assert run.state == "succeeded" and run.status().process["pid"] != os.getpid()
    assert "eval/accuracy" in capsys.readouterr().out
    assert wb.run(spec, reuse=True, quiet=True).id == run.id


def test_a_run_executes_in_this_process_at_test_scale(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_COURSE_SCALE", "test")
    spec, handler = tiny_spec(workspace), signal.getsignal(signal.SIGTERM)
    capsys.readouterr()  # drop the output of making the model
    run = wb.run(spec)
    assert run.state == "succeeded" and not worker_status(workspace)["running"]
    assert run.status().process["pid"] == os.getpid()
    assert signal.getsignal(signal.SIGTERM) is handler
    printed = capsys.readouterr()
    assert "eval/accuracy" in printed.out and "epoch" not in printed.out and not printed.err
    assert "epoch" in run.log()


def test_a_failed_run_raises_its_error(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_COURSE_SCALE", "test")
    spec = tiny_spec(workspace)
    fill_with_nan(workspace.uploads / "tiny")
    with pytest.raises(RunError, match=" failed: "):
        wb.run(spec, quiet=True)
