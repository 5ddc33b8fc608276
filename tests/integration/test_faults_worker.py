"""Faults of the worker itself: a full disk, a closed pipe, its death, another workspace in place of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dashboard.pages import open_page
from tests.dashboard.serving import served
from tests.integration.cli_process import COMMAND, call, environment
from tests.integration.faulty_runs import fill, small_disk
from tests.integration.test_jobs import WORKER, make_run, starts, wait_until
from tests.tiny import make_run as make_real_run
from workbench import jobs
from workbench.jobs.start_worker import module_environment, stop_worker, worker_lock
from workbench.jobs.worker import RETRY_SECONDS
from workbench.runs.run import Run
from workbench.workspace import Workspace

NEXT_START_SECONDS = 15  # at most, from the death of a worker to the next start


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """A function that starts a process; it is killed afterwards."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        processes.append(subprocess.Popen(command, start_new_session=True, **options))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def worker_command(workspace: Workspace, *options: str) -> list[str]:
    return [sys.executable, str(WORKER), str(workspace.root), *options]


def worker_environment() -> dict[str, str]:
    return {**os.environ, **module_environment()}


# -- a full disk ------------------------------------------------------------------------------------------------------


def test_a_worker_survives_a_disk_that_is_full_of_everything(tmp_path: Path, started: Callable[..., Any]) -> None:
    """Its own log is on that disk. It says so once, wastes no room, and continues when there is room again."""
    with small_disk(tmp_path / "disk", "400k") as disk:
        workspace = Workspace(disk / "home").create()
        runs = [make_run(workspace), make_run(workspace)]
        log = disk / "worker.log"
        log.touch()
        filler = fill(disk)
        with open(log, "ab") as output:
            worker = started(worker_command(workspace), stdout=output, stderr=output, env=worker_environment())
        wait_until(worker_lock(workspace).is_held, "the worker has started")
        time.sleep(1.5)
        assert worker.poll() is None and [run.state for run in runs] == ["queued", "queued"]
        with open(filler, "r+b") as file:  # room for messages, not for runs
            file.truncate(filler.stat().st_size - 4096)
        time.sleep(RETRY_SECONDS + 1)
        assert len(log.read_bytes()) < 2000
        filler.unlink()
        wait_until(lambda: [run.state for run in runs] == ["succeeded", "succeeded"], "both runs have ended")
        assert [len(starts(run)) for run in runs] == [1, 1]
        assert worker.wait(30) == 0, log.read_text()


def test_the_same_trouble_is_reported_once_a_minute(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice a second would fill what becomes free."""
    from workbench.errors import StorageError
    from workbench.jobs import worker as module

    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    lines: list[str] = []
    worker = module.Worker(workspace, 1, lambda run: [], lines.append)
    for second in range(0, 240, 2):
        now[0] = 1000.0 + second
        for name in ("a", "b"):  # the disk is the same, and the folder another
            worker._report(name, StorageError(f"{name}/status.json could not be written", reason="the disk is full"))
    assert len(lines) == 4
    worker._report("a", OSError("something else"))
    assert len(lines) == 5


def test_run_tells_why_it_waits_and_continues_when_there_is_room(tmp_path: Path, started: Callable[..., Any]) -> None:
    with small_disk(tmp_path / "disk", "8m") as disk:
        workspace = Workspace(disk / "home").create()
        run = make_run(workspace)
        filler = fill(disk)
        code = (
            "import sys; from workbench.cli.progress import show_progress; from workbench.runs.run import Run\n"
            "from workbench.workspace import Workspace; w = Workspace.current()\n"
            "show_progress(Run.open(sys.argv[1], w), w, quiet=True)\n"
        )
        errors = tmp_path / "errors"
        with open(errors, "wb") as output:
            watching = started([sys.executable, "-c", code, run.id], stderr=output, env=environment(workspace))
        wait_until(lambda: b"the disk is full" in errors.read_bytes(), "it says why")
        assert watching.poll() is None and b"Free some space" in errors.read_bytes()
        filler.unlink()
        wait_until(lambda: run.state not in ("queued", "running"), "it has started")
        assert watching.wait(30) == 0
        stop_worker(workspace)


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_runs_are_listed_and_sorted_on_a_disk_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Caches are done without; on a full disk a run can be deleted."""
    with small_disk(tmp_path / "disk", "600k") as disk:
        workspace = Workspace(disk / "home").create()
        runs = [make_run(workspace) for _ in range(2)]
        for run in runs:
            jobs.cancel(run)
        if how == "full":
            fill(disk)
        else:
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for options in (
            [],
            ["--where", "state = 'stopped'"],
            ["--sort", "training.epochs"],
            ["--out", f"{tmp_path}/out.csv"],
        ):
            done = call(workspace, "runs", "--json", *options, PYTHONDONTWRITEBYTECODE="1")
            assert done.returncode == 0, done.stderr
            assert len(json.loads(done.stdout)) == 2
        monkeypatch.setenv("WORKBENCH_HOME", str(workspace.root))
        for page in ("home", "runs"):
            drawn = open_page(page)
            assert not drawn.exception and not drawn.error
        if how == "full":
            done = call(workspace, "delete", runs[0].id)
            assert done.returncode == 0, done.stderr
            assert Run.all(workspace) == [runs[1]]


# -- a closed pipe ----------------------------------------------------------------------------------------------------


def test_a_reader_who_leaves_does_not_end_the_worker(workspace: Workspace, started: Callable[..., Any]) -> None:
    """``workbench worker | head``."""
    worker = started(worker_command(workspace, "--slots", "1"), stdout=subprocess.PIPE, env=worker_environment())
    runs = [make_run(workspace, "sleep 0.2") for _ in range(3)]
    worker.stdout.readline()
    worker.stdout.close()
    wait_until(lambda: [run.state for run in runs] == ["succeeded"] * 3, "all runs have ended")
    assert worker.wait(30) == 0


# -- another workspace in its place -----------------------------------------------------------------------------------


def test_a_worker_whose_workspace_was_replaced_ends(workspace: Workspace, started: Callable[..., Any]) -> None:
    """Its lock is on a file that nobody sees: a second worker would run beside it."""
    make_run(workspace, "sleep 30")
    options = {"stdout": subprocess.PIPE, "env": worker_environment()}
    worker = started(worker_command(workspace), **options)
    wait_until(worker_lock(workspace).is_held, "the worker has started")
    workspace.root.rename(workspace.root.with_name("old"))
    Workspace(workspace.root).create()
    output = worker.communicate(timeout=30)[0].decode()
    assert worker.returncode == 0 and "replaced" in output
    run = Run.all(Workspace(workspace.root.with_name("old")))[0]
    jobs.stop(run, kill_after=0)
    shutil.rmtree(run.folder)


# -- its death --------------------------------------------------------------------------------------------------------


def dead_worker(workspace: Workspace) -> Run:
    """Let a worker die with a run waiting behind the one at work; return the waiting one."""
    first, second = make_run(workspace, order=1), make_run(workspace, order=2)
    worker = subprocess.run(
        worker_command(workspace, "--kill-at", "after the end is processed"),
        env=worker_environment(),
        capture_output=True,
    )
    assert worker.returncode == -signal.SIGKILL
    assert first.state == "succeeded" and second.state == "queued"
    return second


@pytest.mark.parametrize("command", [["queue"], ["runs"], ["show", "RUN"]])
def test_a_command_that_looks_starts_the_worker_again(live_workspace: Workspace, command: list[str]) -> None:
    waiting = dead_worker(live_workspace)
    done = call(live_workspace, *(word.replace("RUN", waiting.id) for word in command))
    assert done.returncode == 0, done.stderr
    wait_until(lambda: waiting.state != "queued", "the run has started")


def test_nobody_starts_a_worker_while_the_queue_is_paused(live_workspace: Workspace) -> None:
    waiting = dead_worker(live_workspace)
    jobs.pause(live_workspace)
    assert call(live_workspace, "queue").returncode == 0
    time.sleep(1)
    assert waiting.state == "queued" and not worker_lock(live_workspace).is_held()


@pytest.mark.slow
def test_the_process_of_a_run_starts_the_worker_again(live_workspace: Workspace, started: Callable[..., Any]) -> None:
    """Over night nobody looks: what waits behind a long run must not wait until somebody does."""
    workspace = live_workspace
    long = make_real_run(workspace, {"training.epochs": 2000, "training.eval_every": 100_000})
    waiting = make_run(workspace)
    started([*COMMAND, "run-folder", str(long.folder)], env=environment(workspace), stdout=subprocess.DEVNULL)
    began = time.monotonic()
    wait_until(worker_lock(workspace).is_held, "a worker runs again")
    assert time.monotonic() - began < NEXT_START_SECONDS + 15  # the run's own start is among them
    assert long.state == "running"
    jobs.stop(long)
    wait_until(lambda: waiting.state != "queued", "the run has started")


def test_an_open_dashboard_starts_the_worker_again(live_workspace: Workspace) -> None:
    with served(live_workspace):
        waiting = dead_worker(live_workspace)
        died = time.monotonic()
        wait_until(lambda: waiting.state != "queued", "the run has started")
        seconds = time.monotonic() - died
    print(f"{seconds:.1f} s to the next start")
    assert seconds < NEXT_START_SECONDS
