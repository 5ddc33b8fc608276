"""Optimizer and schedule, checked against transformers and by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup
from transformers.trainer_pt_utils import get_parameter_names

from workbench.spec import TrainingSpec
from workbench.training.core.optim import (
    gradient_norm,
    learning_rate_factor,
    make_optimizer,
    make_schedule,
    parameter_groups,
)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.norm = nn.LayerNorm(4)
        self.linear = nn.Linear(4, 3)
        self.frozen = nn.Linear(3, 3)
        self.frozen.requires_grad_(False)


def test_biases_and_norms_do_not_decay_as_in_trainer():
    model = Small()
    decayed, undecayed = parameter_groups(model, 0.1)
    names = {id(p): name for name, p in model.named_parameters()}
    expected = get_parameter_names(model, [nn.LayerNorm], [r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)"])
    assert {names[id(p)] for p in decayed["params"]} == {n for n in expected if not n.startswith("frozen")}
    assert {names[id(p)] for p in undecayed["params"]} == {"norm.weight", "norm.bias", "linear.bias"}
    assert (decayed["weight_decay"], undecayed["weight_decay"]) == (0.1, 0.0)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("steps", [10, 7, 1])
def test_the_schedule_equals_transformers(schedule, steps):
    settings = TrainingSpec(lr_schedule=schedule, warmup_ratio=0.3)
    optimizer = make_optimizer(Small(), settings, 0.5)
    scheduler = make_schedule(optimizer, settings, steps)
    reference_optimizer = torch.optim.SGD(Small().parameters(), lr=0.5)
    make = get_linear_schedule_with_warmup if schedule == "linear" else get_cosine_schedule_with_warmup
    reference = make(reference_optimizer, -(-3 * steps // 10), steps)
    for _ in range(steps):
        assert scheduler.get_last_lr()[0] == pytest.approx(reference.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        reference_optimizer.step()
        scheduler.step()
        reference.step()


def test_constant_stays_after_warm_up():
    assert [learning_rate_factor(s, 10, 0.2, "constant") for s in (0, 1, 2, 9)] == [0.0, 0.5, 1.0, 1.0]


def test_the_norm_of_gradients_is_euclidean():
    model = nn.Linear(2, 1)
    model.weight.grad, model.bias.grad = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
    assert float(gradient_norm(model.parameters())) == pytest.approx(5.0)
