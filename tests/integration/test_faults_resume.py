"""Interrupted, stopped, and gone on with (fault F2): the end is bit by bit that of a run that nothing happened to."""

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

from tests.integration.faulty_runs import EVENTFUL, Scene, assert_readable, environment, leftovers, requeue
from tests.integration.write_faults import Fault
from tests.tiny import make_run
from workbench.runs.run import Run
from workbench.training.core import checkpoint
from workbench.workspace import Workspace


def run_folder(run: Run) -> subprocess.Popen[str]:
    """The very process that a worker starts."""
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


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_resumed_ends_bit_by_bit_the_same(scene, moment):
    """Both processes are started from nothing, the second by the command that the worker uses."""
    fault = MOMENTS[moment]
    if moment == "between two checkpoints":  # the line of step 10
        fault = Fault("kill", 1 + steps_reported(scene).index(10), "write", "metrics.jsonl")
    elif moment == "right after a confusion matrix":  # the figures of the evaluation at step 6
        fault = Fault("kill", 2 + steps_reported(scene).index(6), "write", "metrics.jsonl")
    run = scene.another()
    order = json.dumps({"fault": asdict(fault), "heartbeat": 0.05})
    command = [sys.executable, "-m", "tests.integration.fault_process", str(run.folder), order]
    assert subprocess.run(command, env=environment(), capture_output=True).returncode == -signal.SIGKILL
    assert run.state == "interrupted"
    assert_readable(run)
    result = checkpoint.latest(run.checkpoints_folder)
    last = {"right after a checkpoint": 12, "right after a confusion matrix": 4}.get(moment, 8)
    assert result and result.name == f"step-{last:08d}"
    if moment == "right after a confusion matrix":  # it was written, and is to be written again
        assert [row["step"] for row in run.confusions()] == [6]
    requeue(run)
    assert run_folder(run).wait() == 0, run.log()
    scene.assert_same(run)


def steps_reported(scene: Scene) -> list[int]:
    return [row["step"] for row in scene.reference.read_metrics()[0]]


# Epochs have 11 batches of 8; checkpoints are written at the steps 4, 8, 11 (an epoch's end) and so on.
VARIANTS = {
    "gradient accumulation": {"training.gradient_accumulation": 2, "training.epochs": 4},
    "token budget": {"training.max_tokens_per_batch": 128},
    "one text after another": {"training.group_by_length": False, "training.batch_size": 7},
    "frozen layers replayed": {"tuning": {"method": "freeze", "layers": 2}},
    "frozen layers replayed from disk": {"tuning": "head", "training.cache_memory_gb": 0},
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
# One of each kind on every change: plain steps, kept features, an adapter, random masks; the others in make test-slow.
QUICK = ("gradient accumulation", "frozen layers replayed", "lora", "masked words and pairs")
EPOCHS_END = {"training.checkpoint_every": None, "training.eval_every": None, "training.log_every": 3}


@pytest.mark.parametrize(
    "variant", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS]
)
def test_resumed_in_an_epoch_and_at_its_border(server, workspace, variant):
    for position in ({}, EPOCHS_END):
        scene = Scene(
            server, Workspace(workspace.root / f"{len(position)}").create(), {**VARIANTS[variant], **position}
        )
        lines = sum(event == ("write", "metrics.jsonl") for event in scene.events)
        notes = scene.reference.report().notes
        assert ("ran once per example" in " ".join(notes)) == ("replayed" in variant)
        for at in (lines * 2 // 3, lines):  # in the middle, and at the last line of all
            run = scene.another()
            assert server.do(run, Fault("kill", at, "write", "metrics.jsonl")).code == -9
            assert checkpoint.latest(run.checkpoints_folder) is not None
            scene.finish(run)


def test_killed_after_the_last_checkpoint(server, workspace):
    """What comes after training is done again, and an early end is still told as one."""
    scene = Scene(server, workspace, VARIANTS["early stopping"])
    assert "Stopped early" in " ".join(scene.reference.report().notes)
    run = scene.another()
    assert server.do(run, Fault("kill", 1, "write", ".tmp-predictions*")).code == -9
    scene.finish(run)


# -- stopped by request ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["stop", "terminate"])
def test_stopped_by_request_and_resumed(scene, kind):
    run = scene.another()
    ended = scene.server.do(run, Fault(kind, 1 + steps_reported(scene).index(10), "write", "metrics.jsonl"))
    assert ended.code == 0, run.log()
    assert run.state == "stopped"
    assert leftovers(run) == []
    assert checkpoint.latest(run.checkpoints_folder).name == "step-00000010"
    assert run.report() is None
    requeue(run)
    assert not run.stop_file.exists()
    ended = scene.server.do(run)
    assert ended.code == 0, run.log()
    scene.assert_same(run)


def test_sigterm_from_outside(scene):
    run = scene.another()
    process = run_folder(run)
    deadline = time.monotonic() + 120
    while len(run.read_metrics()[0]) < 1:
        assert time.monotonic() < deadline and process.poll() is None, run.log()
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0, run.log()
    assert run.state in ("stopped", "succeeded")  # a busy machine may have let it finish
    scene.finish(run)


@pytest.mark.parametrize("moment", ["before", "while starting"])
def test_a_stop_before_training_ends_it_without_training(scene, moment):
    run = scene.another()
    if moment == "before":
        run.request_stop()
        ended = scene.server.do(run)
    else:
        ended = scene.server.do(run, Fault("terminate", 1, "write", ".tmp-.tmp-reserve*"))
    assert (ended.code, run.state) == (0, "stopped")
    assert run.read_metrics()[0] == [] and not run.checkpoints_folder.exists()
    scene.finish(run)


# -- a loss that is no number ---------------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_ends_the_run(server, workspace):
    run = make_run(workspace, {**EVENTFUL, "training.log_every": 1000})
    weights = workspace.uploads / "tiny" / "model.safetensors"
    tensors = load_file(weights)
    name = next(name for name in tensors if name.endswith("word_embeddings.weight"))
    tensors[name][9] = np.nan  # one word; its first text spoils all weights
    save_file(tensors, weights, metadata={"format": "pt"})
    ended = server.do(run)
    status = run.status()
    assert (ended.code, status.state, status.error.kind) == (1, "failed", "NonFiniteLoss")
    for setting in ("training.learning_rate", "training.max_grad_norm", "training.precision"):
        assert setting in status.error.hint
    for path in checkpoint.find(run.checkpoints_folder):  # of before the word came; nothing spoiled is kept
        saved = load_file(path / "weights.safetensors")
        assert all(np.isfinite(tensor).all() for key, tensor in saved.items() if not key.endswith(name))
    assert leftovers(run) == []
