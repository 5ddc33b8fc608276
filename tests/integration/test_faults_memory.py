"""Out of memory (fault F7): the run fails and says how much memory it used and what to lower; the queue continues."""

from __future__ import annotations

import json
import re
import sys

from tests.integration.faulty_runs import MANY_WRITES, environment, leftovers
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
