"""Checkpoints are written atomically, and damaged ones are never used."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from workbench.errors import CheckpointError
from workbench.files import read_json
from workbench.spec import TrainingSpec
from workbench.training.core import checkpoint
from workbench.training.core.optim import make_optimizer, make_schedule
from workbench.training.core.state import TrainState


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(6, 4)
        self.out = nn.Linear(4, 6, bias=False)
        self.out.weight = self.embedding.weight
        self.frozen = nn.Linear(4, 4).requires_grad_(False)


def trained(seed: int = 0, steps: int = 3):
    torch.manual_seed(seed)
    model = Tied()
    optimizer = make_optimizer(model, TrainingSpec(), 0.1)
    scheduler = make_schedule(optimizer, TrainingSpec(), 10)
    for _ in range(steps):
        model.out(model.embedding(torch.tensor([1, 2, 3]))).square().sum().backward()
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
    return model, optimizer, scheduler


def test_weights_moments_rate_and_state_round_trip(tmp_path):
    model, optimizer, scheduler = trained()
    state = TrainState(
        step=3,
        epoch=1,
        batch=4,
        tokens=99,
        best_step=2,
        best_metric=0.1 + 0.2,
        evals_since_improvement=1,
        unlogged_loss=1 / 3,
    )
    path = checkpoint.save(tmp_path, model, optimizer, scheduler, state)
    other, other_optimizer, other_scheduler = trained(seed=1, steps=0)
    assert checkpoint.load(path, other, other_optimizer, other_scheduler) == state
    assert torch.equal(other.embedding.weight, model.embedding.weight)
    assert other.out.weight is other.embedding.weight
    assert other_scheduler.get_last_lr() == scheduler.get_last_lr()
    assert other_optimizer.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
    for a, b in zip(optimizer.state.values(), other_optimizer.state.values(), strict=True):
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_frozen_weights_are_not_stored(tmp_path):
    path = checkpoint.save(tmp_path, *trained(), TrainState(step=1))
    from safetensors.torch import load_file

    assert set(load_file(path / "weights.safetensors")) == {"embedding.weight"}


@pytest.mark.parametrize("name", [*checkpoint.FILES, "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "remove", "empty"])
def test_a_damaged_checkpoint_is_never_used(tmp_path, name, damage):
    checkpoint.save(tmp_path, *trained(), TrainState(step=1))
    path = checkpoint.save(tmp_path, *trained(), TrainState(step=2)) / name
    content = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes({"cut": content[:-5], "flip": flipped, "empty": b""}[damage])
    assert checkpoint.latest(tmp_path).name == "step-00000001"
    with pytest.raises(CheckpointError, match="step 2"):
        checkpoint.at_step(tmp_path, 2)


def test_prune_keeps_the_chosen_steps_and_removes_leftovers(tmp_path):
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, *trained(), TrainState(step=step))
    (tmp_path / ".tmp-step-00000004-abcd").mkdir()
    checkpoint.prune(tmp_path, {1, 3})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000001", "step-00000003"]


def test_writing_the_same_step_again_replaces_a_damaged_one(tmp_path):
    path = checkpoint.save(tmp_path, *trained(), TrainState(step=1))
    (path / "state.json").write_text("{")
    assert checkpoint.save(tmp_path, *trained(), TrainState(step=1)) == path
    assert checkpoint.is_complete(path)


def test_the_last_checkpoint_has_no_moments(tmp_path):
    model, _, scheduler = trained()
    path = checkpoint.save(tmp_path, model, None, scheduler, TrainState(step=3))
    assert not (path / "optimizer.safetensors").exists()
    assert checkpoint.latest(tmp_path) == path
    other, optimizer, other_scheduler = trained(seed=1, steps=0)
    assert checkpoint.load(path, other, optimizer, other_scheduler).step == 3
    assert torch.equal(other.embedding.weight, model.embedding.weight)
    (path / "weights.safetensors").unlink()
    assert checkpoint.latest(tmp_path) is None


def test_weights_of_another_model_are_refused(tmp_path):
    path = checkpoint.save(tmp_path, *trained(), TrainState(step=1))
    with pytest.raises(CheckpointError, match="different weights"):
        checkpoint.load(path, nn.Linear(2, 2))


def test_the_manifest_matches_the_files(tmp_path):
    path = checkpoint.save(tmp_path, *trained(), TrainState(step=1))
    import hashlib

    for name, entry in read_json(path / "manifest.json").items():
        assert entry == {
            "bytes": (path / name).stat().st_size,
            "sha256": hashlib.sha256((path / name).read_bytes()).hexdigest(),
        }


def test_a_checkpoint_of_version_1_loads(tmp_path):
    path = checkpoint.save(tmp_path, *trained(), TrainState(step=3))
    old = {"step": 3, "epoch": 1, "batch": 4, "tokens": 99, "seconds": 1.5, "best_step": 2, "best_value": 0.3,
           "worse": 1, "unread_loss": 0.25, "unread_steps": 2, "loss_scale": None}  # fmt: skip
    (path / "state.json").write_text(json.dumps({"position": old, "scheduler": 3}))
    model, _, _ = trained(seed=1, steps=0)
    state = checkpoint.load(path, model)
    assert (state.best_metric, state.evals_since_improvement) == (0.3, 1)
    assert (state.unlogged_loss, state.unlogged_steps) == (0.25, 2)
    assert checkpoint.stored_state(path) == state
