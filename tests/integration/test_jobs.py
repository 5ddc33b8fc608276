"""The queue and the worker in real processes that are killed, stopped and started twice (faults F4 to F8)."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.worker_process import POINTS, PROCESS
from workbench import jobs
from workbench.errors import BusyError, RequestError, SpecError
from workbench.files import read_json, read_lines, write_json
from workbench.jobs import process
from workbench.jobs.start_worker import module_environment
from workbench.locks import Lock
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.system.machine import process_identity
from workbench.workspace import Workspace

WORKER = Path(__file__).with_name("worker_process.py")
TIMEOUT = 60  # seconds: the machine may be busy


def make_run(workspace: Workspace, commands: str = "", order: float | None = None) -> Run:
    """Create a queued run whose process (``run_process.py``) executes the commands."""
    spec = RunSpec.parse({"task": "text-classification", "data": "d", "model": "m", "notes": commands})
    return Run.create(spec, workspace, order)


def starts(run: Run) -> list[dict[str, Any]]:
    return read_lines(run.folder / "starts")[0]


def wait_until(condition: Callable[[], object], description: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"not within {TIMEOUT} s: {description}"
        time.sleep(0.01)


@pytest.fixture
def workers() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A function that starts worker processes; remaining workers and their runs are killed afterwards."""
    started: list[subprocess.Popen[str]] = []
    roots: list[Path] = []

    def start(workspace: Workspace, *options: str, **variables: str) -> subprocess.Popen[str]:
        roots.append(workspace.root)
        command = [sys.executable, str(WORKER), str(workspace.root), *options]
        env = {**os.environ, **module_environment(), **variables}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, start_new_session=True, env=env, **pipes))
        return started[-1]

    yield start
    for child in started:
        child.kill()
        child.communicate()
    for root in roots:
        for run in Run.all(Workspace(root)):
            for line in starts(run):
                with contextlib.suppress(psutil.Error, ProcessLookupError):
                    if str(PROCESS) in psutil.Process(line["pid"]).cmdline():
                        os.killpg(line["pid"], signal.SIGKILL)


def work(workspace: Workspace, slots: int | None = None) -> list[str]:
    """Work through the queue in this process; return the worker's messages."""
    lines: list[str] = []
    command = lambda run: [sys.executable, str(PROCESS), str(run.folder)]  # noqa: E731
    jobs.run_worker(workspace, slots, until_empty=True, poll=0.02, command=command, say=lines.append)
    return lines


# -- failing runs do not stop the queue -------------------------------------------------------------------------------


def test_the_queue_continues_after_every_kind_of_failure(workspace: Workspace) -> None:
    runs = [make_run(workspace, command) for command in ("fail", "exit 3", "kill", "exit 0", "sleep 0.1")]
    (runs[0].folder / "log.txt").write_text("before\n")
    work(workspace)
    assert [run.state for run in runs] == ["failed", "failed", "interrupted", "failed", "succeeded"]
    errors = [run.status().error for run in runs]
    assert errors[0] and errors[0].as_dict() == {"kind": "Data", "message": "bad row 3", "hint": "fix it"}
    assert errors[1] and "exit code 3" in errors[1].message and "went wrong in line 7" in errors[1].message
    assert errors[2] and "SIGKILL" in errors[2].message and f"workbench resume {runs[2].id}" in errors[2].hint
    assert errors[3] and "without a result" in errors[3].message
    assert errors[4] is None
    assert (runs[0].folder / "log.txt").read_text().startswith("before\n")  # the log is appended to
    start_times = [starts(run)[0]["time"] for run in runs]
    assert start_times == sorted(start_times) and all(len(starts(run)) == 1 for run in runs)


def test_a_process_that_cannot_be_started_fails_its_run_only(workspace: Workspace) -> None:
    runs = [make_run(workspace), make_run(workspace)]

    def command(run: Run) -> list[str]:
        return ["/nowhere/python"] if run == runs[0] else [sys.executable, str(PROCESS), str(run.folder)]

    jobs.run_worker(workspace, until_empty=True, poll=0.02, command=command, say=lambda line: None)
    assert [run.state for run in runs] == ["failed", "succeeded"]
    assert "could not be started" in runs[0].status().error.message


def test_orphaned_processes_of_a_run_are_killed(workspace: Workspace) -> None:
    run = make_run(workspace, "orphan exit 1")
    work(workspace)
    orphan = int((run.folder / "orphan").read_text())
    wait_until(
        lambda: not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == "zombie", "the orphan has ended"
    )


def test_each_gpu_executes_one_run_at_a_time(
    workspace: Workspace, workers: Callable[..., subprocess.Popen[str]]
) -> None:
    runs = [make_run(workspace, "sleep 0.5") for _ in range(3)]
    worker = workers(workspace, CUDA_VISIBLE_DEVICES="3,GPU-5")
    assert worker.wait(TIMEOUT) == 0
    assert sorted(starts(run)[0]["gpu"] for run in runs[:2]) == ["3", "GPU-5"]
    ends = [read_lines(run.folder / "ended")[0][0]["time"] for run in runs]
    assert starts(runs[1])[0]["time"] < ends[0]  # in parallel
    assert starts(runs[2])[0]["time"] > min(ends[:2])  # but not three at once


def test_out_of_memory_is_reported_with_settings_to_lower(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([7, 8, 8, 8])
    monkeypatch.setattr(process, "oom_kills", lambda: next(counts))
    monkeypatch.setattr(process, "MIN_SHARE", 0.0)  # the run is tiny, and the machine is not
    runs = [make_run(workspace, "sleep 0.7 kill"), make_run(workspace)]
    work(workspace)
    assert [run.state for run in runs] == ["failed", "succeeded"]
    error = runs[0].status().error
    assert error.kind == "OutOfMemory"
    assert re.search(r"The run was seen with 0\.\d\d GiB", error.message)
    for setting in ("batch_size", "max_tokens_per_batch", "max_length", "lora"):
        assert setting in error.hint


# -- one worker -------------------------------------------------------------------------------------------------------


def test_a_second_worker_reports_the_first_one(
    workspace: Workspace, workers: Callable[..., subprocess.Popen[str]]
) -> None:
    make_run(workspace, "sleep 30")
    first = workers(workspace)
    wait_until(lambda: jobs.worker_status(workspace)["active"], "the run is active")
    status = jobs.worker_status(workspace)
    assert status["running"] and status["pid"] == first.pid and status["queued"] == 0
    with pytest.raises(BusyError, match=rf"process {first.pid}, since 20"):
        work(workspace)
    second = workers(workspace)
    _, message = second.communicate(timeout=TIMEOUT)
    assert second.returncode == 1 and f"process {first.pid}" in message


def test_only_one_of_several_workers_started_together_works(
    workspace: Workspace, workers: Callable[..., subprocess.Popen[str]]
) -> None:
    runs = [make_run(workspace, "sleep 0.3") for _ in range(3)]
    started = [workers(workspace) for _ in range(4)]
    codes = [worker.wait(TIMEOUT) for worker in started]
    assert set(codes) <= {0, 1} and 0 in codes
    assert [run.state for run in runs] == ["succeeded"] * 3
    assert [len(starts(run)) for run in runs] == [1, 1, 1]


def test_a_detached_worker_starts_once_and_ends_when_idle(workspace: Workspace) -> None:
    assert jobs.worker_status(workspace)["running"] is False
    threads = [threading.Thread(target=jobs.ensure_worker, args=(workspace, None, 3.0)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: jobs.worker_status(workspace)["pid"] is not None, "a worker runs and has stored its process id")
    pid = jobs.worker_status(workspace)["pid"]
    assert os.getsid(pid) == pid != os.getsid(0)  # it outlives this session
    assert jobs.ensure_worker(workspace) is False
    wait_until(lambda: not jobs.worker_status(workspace)["running"], "it ended automatically")
    wait_until(lambda: "has ended" in (workspace.root / "worker.log").read_text(), "its last line is written")
    assert jobs.ensure_worker(workspace, idle_seconds=60, wait=TIMEOUT) is True
    assert jobs.stop_worker(workspace, TIMEOUT) is True


def test_a_run_queued_while_the_worker_ends_is_not_forgotten(workspace: Workspace) -> None:
    late_runs: list[Run] = []

    class EndingWorker(jobs.Worker):
        def _loop(self, *arguments: Any) -> bool:
            result = super()._loop(*arguments)
            if not late_runs:  # a submit at this moment sees a locked workspace and starts no worker
                late_runs.append(make_run(self.workspace))
            return result

    command = lambda run: [sys.executable, str(PROCESS), str(run.folder)]  # noqa: E731
    EndingWorker(workspace, 1, command, lambda line: None).run(until_empty=True, poll=0.02)
    assert late_runs[0].state == "succeeded"


# -- the worker is killed (F6) ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_any_point_loses_no_run(
    point: str, workspace: Workspace, workers: Callable[..., subprocess.Popen[str]]
) -> None:
    runs = [make_run(workspace, "sleep 0.2") for _ in range(3)]
    first = workers(workspace, "--kill-at", point)
    assert first.wait(TIMEOUT) == -signal.SIGKILL
    work(workspace)
    assert [run.state for run in runs] == ["succeeded"] * 3
    assert [len(starts(run)) for run in runs] == [1, 1, 1]
    spans = sorted((starts(run)[0]["time"], read_lines(run.folder / "ended")[0][0]["time"]) for run in runs)
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(spans))  # one at a time


def test_workers_killed_at_random_times_lose_no_run(
    workspace: Workspace, workers: Callable[..., subprocess.Popen[str]]
) -> None:
    runs = [make_run(workspace, "sleep 0.15") for _ in range(6)]
    generator = random.Random(0)
    for _ in range(5):
        worker = workers(workspace)
        wait_until(lambda pid=worker.pid: jobs.worker_status(workspace)["pid"] == pid, "the worker is running")
        time.sleep(generator.uniform(0, 0.4))
        worker.kill()
        worker.wait()
    work(workspace)
    assert [run.state for run in runs] == ["succeeded"] * 6
    assert [len(starts(run)) for run in runs] == [1] * 6


def test_a_slowly_starting_run_outlives_its_worker_and_is_not_started_twice(
    workspace: Workspace, workers: Callable[..., subprocess.Popen[str]]
) -> None:
    """The worker dies before the run's process executes its first line: only the lock shows that it is alive."""
    run = make_run(workspace, "slow-start 1.5 sleep 0.1")
    first = workers(workspace)
    wait_until(lambda: (read_json(run.status_file) or {}).get("state") == "running", "claimed")
    wait_until(lambda: b"run_process" in Path(f"/proc/{_child(first.pid)}/cmdline").read_bytes(), "process started")
    first.kill()
    first.wait()
    lines = work(workspace)
    assert run.state == "succeeded" and len(starts(run)) == 1
    assert any("is already running" in line for line in lines)


def _child(pid: int) -> int:
    children = psutil.Process(pid).children()
    return children[0].pid if children else os.getpid()


def test_the_runs_of_a_stopped_worker_continue(
    workspace: Workspace, workers: Callable[..., subprocess.Popen[str]]
) -> None:
    runs = [make_run(workspace, "sleep 2"), make_run(workspace)]
    first = workers(workspace)
    wait_until(lambda: starts(runs[0]), "started")
    first.send_signal(signal.SIGTERM)
    output, _ = first.communicate(timeout=TIMEOUT)
    assert first.returncode == 0 and f"continue without it: {runs[0].id}" in output
    assert [run.state for run in runs] == ["running", "queued"]
    work(workspace)
    assert [run.state for run in runs] == ["succeeded"] * 2
    assert [len(starts(run)) for run in runs] == [1, 1]


# -- stop and resume --------------------------------------------------------------------------------------------------


def test_a_killed_run_is_interrupted_and_resumes(
    workspace: Workspace, workers: Callable[..., subprocess.Popen[str]]
) -> None:
    run = make_run(workspace, "sleep 1")
    first = workers(workspace)
    wait_until(lambda: starts(run), "started")
    os.killpg(starts(run)[0]["pid"], signal.SIGKILL)
    assert first.wait(TIMEOUT) == 0
    assert read_json(run.status_file)["state"] == "interrupted"
    jobs.resume(run, workspace, start=False)
    assert run.status().error is None
    work(workspace)
    assert run.state == "succeeded"
    assert len(starts(run)) == 2


def test_stop_in_each_state(workspace: Workspace, workers: Callable[..., subprocess.Popen[str]]) -> None:
    running, starting, queued = (make_run(workspace, c) for c in ("sleep 60", "slow-start 1 sleep 60", "sleep 60"))
    assert jobs.stop(queued) == "stopped"
    assert jobs.stop(queued) == "stopped"  # stopping it twice changes nothing
    workers(workspace)
    wait_until(lambda: starts(running), "started")
    assert jobs.stop(running) == "running"  # a stop has been requested
    wait_until(lambda: running.state == "stopped", "stopped")
    wait_until(lambda: starting.state == "running", "claimed")
    assert not starts(starting)
    jobs.stop(starting)  # between the claim and the first line of its process
    wait_until(lambda: starting.state == "stopped", "stopped")
    assert not (queued.folder / "starts").exists()
    for run in (running, starting, queued):
        assert jobs.stop(run) == "stopped"


def test_stopping_a_claimed_run_whose_worker_died(
    workspace: Workspace, workers: Callable[..., subprocess.Popen[str]]
) -> None:
    run = make_run(workspace, "sleep 60")
    assert workers(workspace, "--kill-at", "claimed, before the process").wait(TIMEOUT) == -signal.SIGKILL
    assert read_json(run.status_file)["state"] == "running"
    assert run.state == "queued"  # reported so, since nothing runs
    assert jobs.stop(run) == "stopped"
    work(workspace)
    assert run.state == "stopped" and not starts(run)


def test_a_stubborn_run_is_killed_after_its_grace_period(
    workspace: Workspace, workers: Callable[..., subprocess.Popen[str]]
) -> None:
    run = make_run(workspace, "stubborn sleep 60")
    workers(workspace)
    wait_until(lambda: starts(run), "started")
    time.sleep(0.1)
    assert jobs.stop(run) == "running"
    assert jobs.stop(run, kill_after=0.2, grace=0.3) == "stopped"
    wait_until(lambda: not psutil.pid_exists(starts(run)[0]["pid"]), "process gone")
    jobs.resume(run, workspace, start=False)
    assert run.state in ("queued", "running") and not run.stop_requested()


def test_only_ended_unfinished_runs_can_be_resumed(workspace: Workspace) -> None:
    finished, waiting = make_run(workspace), make_run(workspace)
    finished.transition(("queued",), "succeeded")
    with pytest.raises(RequestError, match="has succeeded"):
        jobs.resume(finished, workspace, start=False)
    with pytest.raises(BusyError, match="is already queued"):
        jobs.resume(waiting, workspace, start=False)
    jobs.cancel(waiting)
    waiting.spec_file.write_text("version: 99\n")
    with pytest.raises(SpecError):
        jobs.resume(waiting, workspace, start=False)
    assert waiting.state == "stopped"


# -- reused process ids (F5) ------------------------------------------------------------------------------------------


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """An unrelated process in a group of its own."""
    child = subprocess.Popen(["sleep", "120"], start_new_session=True)
    yield child
    child.kill()
    child.wait()


@pytest.mark.parametrize("change", [{"started": 1}, {"boot": "another"}, {"host": "elsewhere"}])
def test_a_reused_process_id_is_not_killed(
    workspace: Workspace, stranger: subprocess.Popen[bytes], change: dict[str, Any]
) -> None:
    run = make_run(workspace)
    foreign = {**process_identity(stranger.pid), **change}
    run.transition(("queued",), "running", process=foreign, claimed=time.time())
    assert run.state == "interrupted"
    assert jobs.stop(run, kill_after=0, grace=0.1) == "interrupted"
    # Even if the lock is held and its file names this process id:
    other = make_run(workspace)
    other.transition(("queued",), "running", process=foreign)
    with Lock(other.folder / "run.lock", holder=foreign):
        assert other.state == "running"
        with pytest.raises(BusyError, match="cannot be shown to be its own"):
            jobs.stop(other, kill_after=0, grace=0.1)
    assert stranger.poll() is None


def test_a_clock_set_back_or_ahead_changes_nothing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = time.time() + 3600
    first = make_run(workspace, order=ahead)  # queued while the clock was an hour ahead
    second = make_run(workspace)
    jobs.cancel(second)
    jobs.resume(second, workspace, start=False)  # after the clock was corrected
    assert jobs.queue(workspace) == [first, second]
    claimed = make_run(workspace, order=ahead + 7200)
    claimed.transition(("queued",), "running", claimed=ahead + 7200)  # by a worker that died immediately
    assert claimed.state == "queued"
    started = make_run(workspace)
    started.transition(("queued",), "running", claimed=ahead, process={**process_identity(), "started": 1})
    assert started.state == "interrupted"
    monkeypatch.setattr(time, "time", lambda: 0.0)
    work(workspace)
    assert [run.state for run in (first, second, claimed, started)] == [*["succeeded"] * 3, "interrupted"]
    start_times = [starts(run)[0]["time"] for run in (first, second, claimed)]
    assert start_times == sorted(start_times)


# -- invalid folders (F8) ---------------------------------------------------------------------------------------------


def test_invalid_folders_do_not_stop_the_queue(workspace: Workspace) -> None:
    (workspace.runs / "empty").mkdir()
    (workspace.runs / "torn").mkdir()
    (workspace.runs / "torn" / "status.json").write_text('{"state": "que')
    (workspace.runs / "odd").mkdir()
    write_json(workspace.runs / "odd" / "status.json", {"state": "queued", "order": "first"})
    foreign = make_run(workspace)
    foreign.spec_file.write_text("version: 99\n")
    good = make_run(workspace)
    work(workspace)
    assert good.state == "succeeded"
    assert foreign.state == "failed" and "version" in foreign.status().error.message
    assert Run(workspace.runs / "odd").state == "failed"
    assert sorted(path.name for path in (workspace.runs / "empty").iterdir()) == []


def test_deleting_queued_and_running_runs(workspace: Workspace, workers: Callable[..., subprocess.Popen[str]]) -> None:
    running, queued, last = make_run(workspace, "sleep 60"), make_run(workspace), make_run(workspace)
    first = workers(workspace)
    wait_until(lambda: starts(running), "started")
    with pytest.raises(BusyError, match="is running"):
        running.delete()
    queued.delete()
    pid = starts(running)[0]["pid"]
    shutil.rmtree(running.folder)  # by someone who bypasses the check
    os.killpg(pid, signal.SIGKILL)
    assert first.wait(TIMEOUT) == 0
    assert last.state == "succeeded"
    assert [run.id for run in Run.all(workspace)] == [last.id]


# -- the order --------------------------------------------------------------------------------------------------------


def test_moving_and_cancelling(workspace: Workspace) -> None:
    a, b, c = (make_run(workspace, order=float(i)) for i in range(3))
    assert jobs.move(c, 0) == [c, a, b]
    assert jobs.move(a, 99) == [c, b, a]
    assert jobs.move(a, 1) == [c, a, b]
    for _ in range(80):  # halving the same gap runs out of numbers
        jobs.move(b, 1)
        jobs.move(a, 1)
    assert jobs.queue(workspace) == [c, a, b]
    assert jobs.cancel(c) is True and jobs.cancel(c) is False
    with pytest.raises(RequestError, match="is stopped"):
        jobs.move(c, 0)
    assert jobs.queue(workspace) == [a, b]
    assert jobs.move(b, -5) == [b, a]


# -- submit -----------------------------------------------------------------------------------------------------------


def test_submit_checks_the_spec_and_makes_paths_absolute(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError) as refused:
        jobs.submit(RunSpec.parse({"task": "no-such", "data": "no.csv", "model": "minilm"}), workspace, start=False)
    assert {problem.field for problem in refused.value.problems} >= {"task", "data.train"}
    assert Run.all(workspace) == []
    Path("reviews.csv").write_text("text,label\n" + "".join(f"film {i},{'xy'[i % 2]}\n" for i in range(40)))
    spec = RunSpec.parse({"task": "text-classification", "data": "reviews.csv", "model": "minilm"})
    run = jobs.submit(spec, workspace, start=False)
    assert run.spec().data.train == str(tmp_path / "reviews.csv")
    with pytest.raises(SpecError):
        jobs.submit(spec, workspace, confined=True, start=False)
    shutil.copy("reviews.csv", workspace.uploads)
    confined = jobs.submit(spec, workspace, confined=True, start=False)
    assert confined.spec().data.train == str((workspace.uploads / "reviews.csv").resolve())
    assert jobs.queue(workspace) == [run, confined]
