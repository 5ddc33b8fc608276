"""Interrupted or stopped, then resumed (fault F2): the result is bit by bit that of an uninterrupted run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.integration.faulty_runs import MANY_WRITES, FaultScenario, assert_readable, environment, leftovers, requeue
from tests.integration.write_faults import Fault
from tests.tiny import make_run
from workbench.runs.run import Run
from workbench.training.core import checkpoint
from workbench.workspace import Workspace


def start_run_folder(run: Run) -> subprocess.Popen[str]:
    """Start the same process that a worker starts."""
    with open(run.log_file, "a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "workbench", "run-folder", str(run.folder)],
            stdout=log,
            stderr=log,
            text=True,
            env=environment(),
        )


MOMENTS = {
    "between two checkpoints": Fault("kill", 1, "write", "metrics.jsonl"),
    "right after a confusion matrix": Fault("kill", 1, "write", "metrics.jsonl"),
    "right after a checkpoint": Fault("kill", 1, "rename", "checkpoints/step-00000008"),
    "during the writing of a checkpoint": Fault("kill", 1, "save", "checkpoints/.tmp-step-00000012-*/optimizer*"),
}

NOT_FORKED = "during the writing of a checkpoint"


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_resumes_to_an_identical_result(scenario, moment):
    """At one moment neither process is forked: the second is started with the worker's own command."""
    fault = MOMENTS[moment]
    if moment == "between two checkpoints":  # the line of step 10
        fault = Fault("kill", 1 + reference_steps(scenario).index(10), "write", "metrics.jsonl")
    elif moment == "right after a confusion matrix":  # the metrics of the evaluation at step 6
        fault = Fault("kill", 2 + reference_steps(scenario).index(6), "write", "metrics.jsonl")
    run = scenario.new_run()
    forked = moment != NOT_FORKED
    if forked:
        assert scenario.server.execute(run, fault, heartbeat=0.05).code == -signal.SIGKILL
    else:
        request = json.dumps({"fault": asdict(fault), "heartbeat": 0.05})
        command = [sys.executable, "-m", "tests.integration.fault_process", str(run.folder), request]
        assert subprocess.run(command, env=environment(), capture_output=True).returncode == -signal.SIGKILL
    assert run.state == "interrupted"
    assert_readable(run)
    latest = checkpoint.latest(run.checkpoints_folder)
    expected_step = {"right after a checkpoint": 12, "right after a confusion matrix": 4}.get(moment, 8)
    assert latest and latest.name == f"step-{expected_step:08d}"
    if moment == "right after a confusion matrix":  # it was written and will be written again
        assert [row["step"] for row in run.confusions()] == [6]
    requeue(run)
    assert (scenario.server.execute(run).code if forked else start_run_folder(run).wait()) == 0, run.log()
    scenario.assert_same(run)


def reference_steps(scenario: FaultScenario) -> list[int]:
    """Return the step of each line of metrics of the reference run."""
    return [row["step"] for row in scenario.reference.read_metrics()[0]]


# An epoch has 11 batches of 8; checkpoints are written at steps 4, 8, 11 (the end of the epoch) and so on.
VARIANTS = {
    "gradient accumulation": {"training.gradient_accumulation": 2, "training.epochs": 4},
    "token budget": {"training.max_tokens_per_batch": 128},
    "one text after another": {"training.group_by_length": False, "training.batch_size": 7},
    "frozen layers replayed": {"tuning": {"method": "freeze", "layers": 2}},
    "frozen layers replayed from disk": {
        "tuning": {"method": "head", "solver": "gradient"},
        "training.cache_memory_gb": 0,
    },
    "frozen layers run again": {"tuning": {"method": "freeze", "layers": 2}, "training.cache_activations": False},
    "lora": {"tuning": {"method": "lora", "rank": 2}},
    "early stopping": {"training.early_stopping_patience": 2, "training.epochs": 6, "training.learning_rate": 1e-7},
    "so many tokens": {"training.max_tokens": 2500, "training.epochs": 9},
    "masked words": {"task": "masked-lm", "training.epochs": 3},
    "masked words and pairs": {
        "task": {"name": "masked-lm-nsp", "whole_words": True},
        "training.gradient_accumulation": 2,
    },
    "lines span checkpoints": {"training.log_every": 7, "training.lr_schedule": "cosine", "training.epochs": 1.7},
}
# ``make test`` runs one of each kind: cached activations, an adapter, random masks with accumulated gradients.
QUICK_VARIANTS = ("frozen layers replayed", "lora", "masked words and pairs")
ONLY_AT_EPOCH_ENDS = {"training.checkpoint_every": None, "training.eval_every": None, "training.log_every": 3}


@pytest.mark.parametrize(
    "variant", [name if name in QUICK_VARIANTS else pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS]
)
def test_a_run_resumes_within_and_between_epochs(server, workspace, variant):
    """Every variant has both schedules and both moments of the kill; they are paired alternately."""
    for pair, schedule in enumerate(({}, ONLY_AT_EPOCH_ENDS), list(VARIANTS).index(variant)):
        scenario = FaultScenario(
            server, Workspace(workspace.root / f"{len(schedule)}").create(), {**VARIANTS[variant], **schedule}
        )
        n_lines = sum(event == ("write", "metrics.jsonl") for event in scenario.events)
        notes = scenario.reference.report().notes
        assert ("ran once per example" in " ".join(notes)) == ("replayed" in variant)
        number = (n_lines * 2 // 3, n_lines)[pair % 2]  # in the middle, or at the very last line
        run = scenario.new_run()
        assert server.execute(run, Fault("kill", number, "write", "metrics.jsonl")).code == -9
        assert checkpoint.latest(run.checkpoints_folder) is not None
        scenario.assert_finishes_the_same(run)


def test_a_run_killed_after_its_last_checkpoint_resumes(server, workspace):
    """The work after training is repeated, and early stopping is still reported."""
    scenario = FaultScenario(server, workspace, VARIANTS["early stopping"])
    assert "Stopped early" in " ".join(scenario.reference.report().notes)
    run = scenario.new_run()
    assert server.execute(run, Fault("kill", 1, "write", ".tmp-predictions*")).code == -9
    scenario.assert_finishes_the_same(run)


# -- stopped by request -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["stop", "terminate"])
def test_a_run_stopped_by_request_resumes(scenario, kind):
    run = scenario.new_run()
    result = scenario.server.execute(
        run, Fault(kind, 1 + reference_steps(scenario).index(10), "write", "metrics.jsonl")
    )
    assert result.code == 0, run.log()
    assert run.state == "stopped"
    assert leftovers(run) == []
    assert checkpoint.latest(run.checkpoints_folder).name == "step-00000010"
    assert run.report() is None
    requeue(run)
    assert not run.stop_file.exists()
    result = scenario.server.execute(run)
    assert result.code == 0, run.log()
    scenario.assert_same(run)


def test_a_run_stops_on_sigterm(scenario):
    run = scenario.new_run()
    process = start_run_folder(run)
    deadline = time.monotonic() + 120
    while len(run.read_metrics()[0]) < 1:
        assert time.monotonic() < deadline and process.poll() is None, run.log()
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0, run.log()
    assert run.state in ("stopped", "succeeded")  # on a busy machine it may have finished first
    scenario.assert_finishes_the_same(run)


@pytest.mark.parametrize("moment", ["before", "while starting"])
def test_a_run_stopped_before_training_never_trains(scenario, moment):
    run = scenario.new_run()
    if moment == "before":
        run.request_stop()
        result = scenario.server.execute(run)
    else:
        result = scenario.server.execute(run, Fault("terminate", 1, "write", ".tmp-.tmp-reserve*"))
    assert (result.code, run.state) == (0, "stopped")
    assert run.read_metrics()[0] == [] and not run.checkpoints_folder.exists()
    scenario.assert_finishes_the_same(run)


# -- a loss that is not finite ----------------------------------------------------------------------------------------


def test_a_non_finite_loss_fails_the_run(server, workspace):
    run = make_run(workspace, {**MANY_WRITES, "training.log_every": 1000})
    weights = workspace.uploads / "tiny" / "model.safetensors"
    tensors = load_file(weights)
    name = next(name for name in tensors if name.endswith("word_embeddings.weight"))
    tensors[name][9] = np.nan  # one word, whose first text corrupts all weights
    save_file(tensors, weights, metadata={"format": "pt"})
    result = server.execute(run)
    status = run.status()
    assert (result.code, status.state, status.error.kind) == (1, "failed", "NonFiniteLoss")
    for setting in ("training.learning_rate", "training.max_grad_norm", "training.precision"):
        assert setting in status.error.hint
    for path in checkpoint.find(run.checkpoints_folder):  # all from before that word; no corrupted weights are saved
        saved = load_file(path / "weights.safetensors")
        assert all(np.isfinite(tensor).all() for key, tensor in saved.items() if not key.endswith(name))
    assert leftovers(run) == []
