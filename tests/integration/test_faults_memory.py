"""Out of memory (fault F7): the run fails and says how much memory it used and what to lower; the queue continues."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.faulty_runs import MANY_WRITES, environment, leftovers
from tests.integration.test_jobs import WORKER
from tests.integration.test_jobs import make_run as make_scripted_run
from tests.tiny import make_run
from workbench import jobs
from workbench.jobs.worker import run_command

MEMORY_LIMIT = 1200 * 2**20  # bytes of address space for training; the batch needs several times as much


def test_a_run_out_of_memory_fails_and_the_queue_continues(workspace, monkeypatch):
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    data = workspace.uploads / "many.csv"
    lines = [f"{'the film ' * 30}{number % 7 * 'really '},{'good' if number % 2 else 'bad'}" for number in range(6000)]
    data.write_text("\n".join(["text,label", *lines]))
    greedy = make_run(workspace, {**MANY_WRITES, "data.train": str(data), "training.batch_size": 4096})
    modest = make_run(workspace, {**MANY_WRITES, "training.epochs": 1})

    def command(run):
        if run.id == modest.id:
            return run_command(run)
        request = json.dumps({"limits": {"memory": MEMORY_LIMIT}})
        return [sys.executable, "-m", "tests.integration.fault_process", str(run.folder), request]

    try:
        jobs.run_worker(workspace, slots=1, until_empty=True, command=command, say=lambda line: None)
    finally:
        for run in (greedy, modest):  # in case the test ends early
            jobs.stop(run, kill_after=0)
    status = greedy.status()
    assert status.state == "failed", greedy.log()
    error = status.error
    assert error.kind == "OutOfMemory", greedy.log()
    assert re.search(r"\d+ bytes.*[\d.]+ GB.*[\d.]+ GB in use", error.message), error.message
    assert sum(name in error.hint for name in ("training.batch_size", "data.max_length", "lora")) == 3
    assert leftovers(greedy) == []
    assert modest.state == "succeeded", modest.log()


# -- limits of a control group ----------------------------------------------------------------------------------------

LIMIT = 300 * 2**20  # bytes


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group with a limit, or a skip."""
    root = Path("/sys/fs/cgroup")
    version_1 = (root / "memory").is_dir()
    folder = (root / "memory" if version_1 else root) / f"workbench-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / ("memory.limit_in_bytes" if version_1 else "memory.max")).write_text(str(LIMIT))
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        pytest.skip(f"no control group with a limit can be made here: {error}")
    yield folder
    folder.rmdir()


def execute_in(group: Path, workspace, *others: str) -> None:
    """Run a worker until its queue is empty, and other programs, in a control group."""
    join = f"echo $$ > {group}/cgroup.procs"
    command = f"{join}; {' '.join(others)} exec {sys.executable} {WORKER} {workspace.root} --slots 1"
    subprocess.run(["sh", "-c", command], env=environment(), check=True, timeout=120, capture_output=True)


def test_a_run_above_the_limit_of_its_group_fails_with_the_right_numbers(workspace, group) -> None:
    """The machine has plenty left; its numbers would be no help."""
    greedy = make_scripted_run(workspace, "eat 400", order=1)
    modest = make_scripted_run(workspace, order=2)
    execute_in(group, workspace)
    error = greedy.status().error
    assert greedy.state == "failed" and error.kind == "OutOfMemory", error
    assert "0.29 GiB" in error.message and "group" in error.message, error.message
    assert float(re.search(r"seen with ([\d.]+) GiB", error.message)[1]) > 0.1
    assert modest.state == "succeeded"


def test_a_run_killed_by_hand_has_no_advice_on_memory(workspace, group, tmp_path) -> None:
    """Something else ran out of memory while it worked."""
    killed = make_scripted_run(workspace, "sleep 3 kill")
    (tmp_path / "eater.py").write_text("memory = []\nwhile True:\n    memory.append(bytearray(b'x' * 10**7))\n")
    execute_in(group, workspace, f"(sleep 1.5; {sys.executable} {tmp_path}/eater.py) &")
    status = killed.status()
    assert status.state == "interrupted" and status.error.kind == "Interrupted"
    assert "ended by another program" in status.error.message and "memory ran out" in status.error.message
