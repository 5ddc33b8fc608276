"""Sweeps with a real worker that is killed again and again: no trial is lost, and none is run twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench.files import read_lines
from workbench.jobs.start_worker import module_environment
from workbench.jobs.sweep_plan import SweepPlan
from workbench.jobs.sweeps import Sweep
from workbench.runs.run import Run
from workbench.workspace import Workspace

WORKER = Path(__file__).with_name("sweep_worker.py")
SPEC = {"task": "text-classification", "data": "rotten-tomatoes", "model": "minilm", "tuning": "lora"}


def start_worker(workspace: Workspace) -> subprocess.Popen[bytes]:
    env = {**os.environ, **module_environment()}
    return subprocess.Popen([sys.executable, str(WORKER), str(workspace.root)], env=env, start_new_session=True)


@pytest.mark.slow
def test_a_killed_worker_loses_no_trial_and_runs_none_twice(workspace: Workspace) -> None:
    over = {"training.learning_rate": "1e-4,3e-4,1e-3", "tuning.rank": "4,8"}
    plan = SweepPlan.parse({"spec": SPEC, "over": over, "method": "grid", "seeds": 2})
    sweep = Sweep.create(plan, workspace, start=False)
    deadline, kills = time.monotonic() + 240, 0
    while sweep.read()["state"] == "running":
        assert time.monotonic() < deadline, sweep.read()
        process = start_worker(workspace)
        end = time.monotonic() + (1.5 + 0.4 * kills if kills < 8 else 60)
        while process.poll() is None and time.monotonic() < end and sweep.read()["state"] == "running":
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    state = sweep.read()
    assert kills > 3
    assert state["state"] == "succeeded" and [trial["state"] for trial in state["trials"]] == ["succeeded"] * 6
    assert len({tuple(trial["values"].values()) for trial in state["trials"]}) == 6
    runs = Run.all(workspace)
    assert len(runs) == 12 == len({(run.status().trial, run.status().seed) for run in runs})
    assert all(len(read_lines(run.folder / "starts")[0]) == 1 for run in runs)
