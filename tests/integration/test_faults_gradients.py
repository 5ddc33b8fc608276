"""A finite loss with gradients that are not finite: the corrupted weights are not saved."""

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


class SquareRoot(nn.Module):
    """Its loss is the square root of the mean target: finite at 0, where its gradient is not."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, target: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(loss=torch.clamp(self.weight * 0 + target.mean(), min=0).sqrt())


class SilentCallback:
    def log(self, row):
        pass

    def progress(self, state, steps, epoch):
        pass

    def save(self, state, save):
        save()

    def stop_requested(self):
        return False


def test_no_checkpoint_holds_corrupted_weights(tmp_path):
    targets = [1.0, 1.0, 1.0, 0.0]
    inputs = TrainingInputs(
        plan=SimpleNamespace(epoch=lambda number: [np.array([i]) for i in range(4)], count=lambda number: 4),
        batch=lambda indices: {"target": torch.tensor([targets[i] for i in indices])},
        loss_weight=len,
        tokens=len,
    )
    settings = TrainingSpec(epochs=2, checkpoint_every=1, log_every=100)
    with pytest.raises(NonFiniteLossError, match="norm of the gradients became nan at or shortly before step 4"):
        train(SquareRoot(), inputs, settings, 0.1, Accelerator(cpu=True), SilentCallback(), tmp_path)
    assert checkpoint.latest(tmp_path).name == "step-00000003"
