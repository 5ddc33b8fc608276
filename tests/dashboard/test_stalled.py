"""A run that hangs in native code: it is pointed out, and can be ended by force from the dashboard."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from tests.dashboard.fake_runs import fake_run
from tests.dashboard.pages import open_page, text_of, well
from workbench.cli.app import app
from workbench.files import read_json, write_json
from workbench.runs.documents import RunSummary
from workbench.runs.run import Run
from workbench.runs.stalled import FORCE_AFTER_SECONDS, STALLED_SECONDS, may_be_forced, seconds_without_progress
from workbench.training.reporter import RunReporter
from workbench.workspace import Workspace

# Takes a run as its process does, and then hangs in native code that holds Python's lock: it hears no signal.
HANGING = """
import re, sys
from pathlib import Path
from workbench.system.machine import process_identity
from workbench.runs.run import Run
run = Run(Path(sys.argv[1]))
assert run.process_lock().acquire()
run.transition(("queued",), "running", process=process_identity(), progress={"phase": "loading the tokenizer"})
print("running", flush=True)
re.match("(a+)+$", "a" * 64 + "b")
"""


@pytest.fixture
def hanging(workspace: Workspace) -> Iterator[tuple[Run, subprocess.Popen[str]]]:
    run = fake_run(workspace, "queued")
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING, str(run.folder)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None and process.stdout.readline() == "running\n"
    yield run, process
    process.kill()
    process.wait()


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def set_moved(run: Run, seconds: float) -> None:
    write_json(run.status_file, {**(read_json(run.status_file) or {}), "moved": ago(seconds)})


def test_a_run_that_hangs_is_ended_by_force(hanging: tuple[Run, subprocess.Popen[str]]) -> None:
    run, process = hanging
    page = well(open_page("run", id=run.id))
    assert "run.force" not in [button.key for button in page.button], "nobody has asked it to stop"
    page = well(page.button(key="run.stop").click().run())
    assert run.state == "running" and "run.force" not in [button.key for button in page.button], "it may end by itself"
    requested = time.time() - FORCE_AFTER_SECONDS - 1
    os.utime(run.stop_file, (requested, requested))
    page = well(open_page("run", id=run.id))
    assert "was asked to stop" in text_of(page)
    well(page.button(key="run.force").click().run())
    assert process.wait(10) < 0 and Run(run.folder).state == "stopped"


@pytest.mark.parametrize(("view", "prefix"), [("home", "home"), ("runs", "list")])
def test_home_and_runs_point_at_a_run_that_hangs_and_end_it(
    view: str, prefix: str, hanging: tuple[Run, subprocess.Popen[str]]
) -> None:
    run, process = hanging
    assert not [button.key for button in well(open_page(view)).button if run.id in str(button.key)]
    set_moved(run, STALLED_SECONDS + 60)
    page = well(open_page(view))
    if view == "runs":
        states = next(each.value["State"] for each in page.dataframe if "State" in each.value)
        assert any("no progress" in each for each in states)
    page = well(page.button(key=f"{prefix}.stop.{run.id}").click().run())
    assert run.state == "running" and f"{prefix}.force.{run.id}" not in [button.key for button in page.button]
    requested = time.time() - FORCE_AFTER_SECONDS - 1
    os.utime(run.stop_file, (requested, requested))
    page = well(open_page(view))
    well(page.button(key=f"{prefix}.force.{run.id}").click().run())
    assert process.wait(10) < 0 and Run(run.folder).state == "stopped"


def test_a_run_without_progress_says_so(workspace: Workspace) -> None:
    run = fake_run(workspace, "running")
    for seconds, is_reported in ((STALLED_SECONDS - 60, False), (STALLED_SECONDS + 60, True)):
        set_moved(run, seconds)
        assert ("No progress for" in text_of(well(open_page("run", id=run.id)))) == is_reported
        shown = CliRunner().invoke(app, ["show", run.id]).output
        assert ("No progress for 11 minutes" in shown and "--kill-after 10" in shown) == is_reported


@pytest.mark.parametrize("moved", [None, "", "yesterday", "2026-13-45", "2999-01-01T00:00:00+00:00", "2020-01-01"])
def test_odd_times_are_no_error(moved: str | None) -> None:
    summary = RunSummary(id="a", state="running", moved=moved, stop_requested_at=moved)
    is_old = moved == "2020-01-01"
    assert (seconds_without_progress(summary) is not None) == is_old
    assert may_be_forced(summary) == is_old
    ended = RunSummary(id="a", state="stopped", moved=moved, stop_requested_at=moved)
    assert seconds_without_progress(ended) is None
    assert not may_be_forced(ended)


def test_the_time_of_the_last_progress_is_stored(workspace: Workspace) -> None:
    run = fake_run(workspace, "queued")
    run.transition(("queued",), "running")
    reporter = RunReporter(run)
    moments = []
    for phase in ("loading", "loading", "training"):
        reporter.phase(phase)
        reporter._write_progress()
        moments.append(run.status().moved)
        time.sleep(0.01)
    assert moments[0] == moments[1] != moments[2], "a heartbeat is no progress"
