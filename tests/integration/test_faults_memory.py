"""Out of memory (fault F7): the run ends as failed with the numbers and what to lower, and the queue goes on."""

from __future__ import annotations

import json
import re
import sys

from tests.integration.faulty_runs import EVENTFUL, environment, leftovers
from tests.tiny import make_run
from workbench import jobs
from workbench.jobs.worker import run_command

ROOM = 1200 * 2**20  # bytes of address space that the work may take; the batch needs several times that


def test_a_run_without_memory_fails_and_the_queue_goes_on(workspace, monkeypatch):
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    many = workspace.uploads / "many.csv"
    lines = [f"{'the film ' * 30}{number % 7 * 'really '},{'good' if number % 2 else 'bad'}" for number in range(6000)]
    many.write_text("\n".join(["text,label", *lines]))
    greedy = make_run(workspace, {**EVENTFUL, "data.train": str(many), "training.batch_size": 4096})
    modest = make_run(workspace, {**EVENTFUL, "training.epochs": 1})

    def command(run):
        if run.id == modest.id:
            return run_command(run)
        limited = json.dumps({"limits": {"memory": ROOM}})
        return [sys.executable, "-m", "tests.integration.fault_process", str(run.folder), limited]

    try:
        jobs.run_worker(workspace, slots=1, until_empty=True, command=command, say=lambda line: None)
    finally:
        for run in (greedy, modest):  # where the test is ended early
            jobs.stop(run, kill_after=0)
    status = greedy.status()
    assert status.state == "failed", greedy.log()
    error = status.error
    assert error.kind == "OutOfMemory", greedy.log()
    assert re.search(r"\d+ bytes.*[\d.]+ GB.*[\d.]+ GB in use", error.message), error.message
    assert sum(name in error.hint for name in ("training.batch_size", "data.max_length", "lora")) == 3
    assert leftovers(greedy) == []
    assert modest.state == "succeeded", modest.log()
