"""A run in two processes of torchrun: the same losses and weights as in one, and a folder that one of them writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from safetensors.torch import load_file

from tests.tiny import make_run
from workbench.files import write_json
from workbench.jobs import resume
from workbench.runs.run import Run
from workbench.training.runner import run_folder

# The last batch of an epoch has one row: one of the processes has none of its own.
SETTINGS = {"training.epochs": 2, "training.batch_size": 7, "training.gradient_accumulation": 2, "data.limit.train": 50}


@pytest.mark.slow
def test_two_processes_compute_what_one_computes(workspace, tmp_path):
    alone = make_run(workspace, SETTINGS, model={"dropout": 0.0})
    assert run_folder(alone.folder) == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "workbench", "run", str(alone.spec_file), "--json"]
    environment = {**os.environ, "WORKBENCH_HOME": str(workspace.root), "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads(done.stdout)
    assert summary["state"] == "succeeded"
    together = Run.open(summary["id"], workspace)

    rows, other_rows = ([_numbers(row) for row in run.read_metrics()[0]] for run in (alone, together))
    assert len(rows) == len(other_rows) == 10
    for row, other in zip(rows, other_rows, strict=True):
        assert other == pytest.approx(row, rel=1e-4, abs=1e-6)
    weights, other_weights = (load_file(run.model_folder / "model.safetensors") for run in (alone, together))
    assert weights.keys() == other_weights.keys()
    assert max(float((weights[name] - other_weights[name]).abs().max()) for name in weights) < 1e-5
    assert together.environment().processes == 2
    assert "Evaluating on the" in together.log()
    assert sorted(os.listdir(together.folder)) == sorted({*os.listdir(alone.folder), "log.txt"})
    assert not [name for name in os.listdir(tmp_path) if name.startswith("workbench-process-")]


def test_a_run_of_two_processes_is_not_resumed_in_one(workspace):
    run = make_run(workspace, {"training.keep_checkpoints": True, "training.epochs": 1})
    assert run_folder(run.folder) == 0
    run.report_file.unlink()  # as if it had been stopped at its last checkpoint
    run.transition(("succeeded",), "stopped")
    write_json(run.environment_file, {**run.environment().as_dict(), "processes": 2})
    resume(run, workspace, start=False)
    assert run_folder(run.folder) == 2
    error = run.status().error
    assert "began in 2 processes and was resumed in 1 process" in error.message
    assert "torchrun --nproc-per-node 2 -m workbench resume" in error.hint


def _numbers(row):
    return {name: value for name, value in row.items() if name not in ("time", "train/tokens_per_second")}
