"""The optimizer and the learning rate's way through a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from workbench.spec import TrainingSpec

# What the largest learning rate is multiplied by, at a step of so many.
Schedule = Callable[[int, int], float]

NO_DECAY = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.BatchNorm1d)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Trained parameters in two groups: matrices decay, biases and norms do not.

    Decay pulls weights to zero to keep the function simple; a bias or a norm's gain has no such reading.
    """
    undecayed = {
        id(parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(module, NO_DECAY) or "norm" in type(module).__name__.lower() or name.endswith("bias")
    }
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if id(p) not in undecayed], "weight_decay": weight_decay},
        {"params": [p for p in trained if id(p) in undecayed], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def make_optimizer(model: nn.Module, settings: TrainingSpec, learning_rate: float) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), in its fused form: one kernel for all weights."""
    return torch.optim.AdamW(
        parameter_groups(model, settings.weight_decay),
        lr=learning_rate,
        betas=(settings.adam_beta1, settings.adam_beta2),
        eps=settings.adam_epsilon,
        fused=True,
    )


def learning_rate_factor(step: int, steps: int, warmup: float, schedule: str) -> float:
    """What the largest learning rate is multiplied by at ``step`` of ``steps``.

    It rises in a line over the first ``warmup`` share of steps, then falls to zero in a line or in half a
    cosine, or stays.
    """
    rising = math.ceil(warmup * steps)
    if step < rising:
        return step / rising
    if schedule == "constant":
        return 1.0
    done = (step - rising) / max(1, steps - rising)
    return max(0.0, 1 - done) if schedule == "linear" else 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def make_schedule(
    optimizer: torch.optim.Optimizer, settings: TrainingSpec, steps: int, schedule: Schedule | None = None
) -> LambdaLR:
    """The way of the learning rate through a run of ``steps`` optimizer steps: ``schedule``, or the spec's."""
    if schedule is not None:
        return LambdaLR(optimizer, lambda step: schedule(step, steps))
    return LambdaLR(optimizer, lambda step: learning_rate_factor(step, steps, settings.warmup, settings.schedule))


def gradient_norm(parameters: Iterable[nn.Parameter]) -> torch.Tensor:
    """Euclidean norm of all gradients together, a scalar on their device."""
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
