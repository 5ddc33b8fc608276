"""A loss that is a number, with gradients that are none: what they spoil is not kept."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from workbench.errors import NonFiniteLossError
from workbench.spec import TrainingSpec
from workbench.training.core import checkpoint
from workbench.training.loop import TrainingInputs, train


class Root(nn.Module):
    """The root of how far a weight is from a target: at the target, 0, and infinitely steep."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, target: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(loss=torch.clamp(self.weight * 0 + target.mean(), min=0).sqrt())


class Silent:
    def log(self, row):
        pass

    def progress(self, state, steps, epoch):
        pass

    def save(self, state, save):
        save()

    def stop_requested(self):
        return False


def test_a_checkpoint_is_not_written_with_spoiled_weights(tmp_path):
    targets = [1.0, 1.0, 1.0, 0.0]
    inputs = TrainingInputs(
        plan=SimpleNamespace(epoch=lambda number: [np.array([i]) for i in range(4)], count=lambda number: 4),
        batch=lambda indices: {"target": torch.tensor([targets[i] for i in indices])},
        loss_weight=len,
        tokens=len,
    )
    settings = TrainingSpec(epochs=2, checkpoint_every=1, log_every=100)
    with pytest.raises(NonFiniteLossError, match="norm of the gradients became nan at or shortly before step 4"):
        train(Root(), inputs, settings, 0.1, Accelerator(cpu=True), Silent(), tmp_path)
    assert checkpoint.latest(tmp_path).name == "step-00000003"
