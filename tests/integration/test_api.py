"""``workbench.run``: through the queue for a user, in the caller's own process at the scale of the course's tests."""

from __future__ import annotations

import os
import signal

import pytest

import workbench as wb
from tests.tiny import make_run
from workbench.errors import RunError
from workbench.jobs import stop_worker, worker_status
from workbench.spec import RunSpec
from workbench.workspace import Workspace


def spec(workspace: Workspace, **changes: object) -> RunSpec:
    """The tiny run's spec, for a run that is yet to be made."""
    made = make_run(workspace, {"training.epochs": 1, **changes})
    made.transition(("queued",), "stopped")  # nobody takes it from the queue
    return made.spec()


def test_a_run_goes_through_the_queue_and_is_reused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_COURSE_SCALE", "cpu")
    wanted = spec(workspace)
    try:
        done = wb.run(wanted)
    finally:
        stop_worker(workspace)
    assert done.state == "succeeded" and done.status().process["pid"] != os.getpid()
    assert "eval/accuracy" in capsys.readouterr().out
    assert wb.run(wanted, reuse=True, quiet=True).id == done.id


def test_at_the_tests_scale_a_run_executes_in_this_process(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_COURSE_SCALE", "test")
    wanted, handler = spec(workspace), signal.getsignal(signal.SIGTERM)
    capsys.readouterr()  # what making the model has said
    done = wb.run(wanted)
    assert done.state == "succeeded" and not worker_status(workspace)["running"]
    assert done.status().process["pid"] == os.getpid()
    assert signal.getsignal(signal.SIGTERM) is handler
    printed = capsys.readouterr()
    assert "eval/accuracy" in printed.out and "epoch" not in printed.out and not printed.err
    assert "epoch" in done.log()


def test_a_failed_run_raises_its_error(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_COURSE_SCALE", "test")
    wanted = spec(workspace)
    (workspace.uploads / "tiny" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(RunError, match=r"is failed: tiny cannot be loaded"):
        wb.run(wanted, quiet=True)
