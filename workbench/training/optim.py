"""The optimizer and the learning rate's way through a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from workbench.spec import TrainingSpec

# What the largest learning rate is multiplied by, at a step of so many.
Schedule = Callable[[int, int], float]

NO_DECAY = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.BatchNorm1d)


def parameter_groups(
    model: nn.Module, weight_decay: float, rates: Mapping[str, float] | None = None, no_decay: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Trained parameters in groups of one decay and one rate: matrices decay, biases and norms do not.

    Decay pulls weights to zero to keep the function simple; a bias or a norm's gain has no such reading.

    Args:
        model: with ``requires_grad`` where weights shall move.
        weight_decay: of those that decay.
        rates: what the learning rate is multiplied by, by a weight's name; 1 for those not named. Each group has it as
            ``rate``.
        no_decay: parts of names of further weights that shall not decay.
    """
    undecayed = {
        id(parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(module, NO_DECAY) or "norm" in type(module).__name__.lower() or name.endswith("bias")
    }
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            spared = id(parameter) in undecayed or any(part in name for part in no_decay)
            kind = ((rates or {}).get(name, 1.0), 0.0 if spared else weight_decay)
            groups.setdefault(kind, []).append(parameter)
    in_order = sorted(groups.items(), key=lambda group: (-group[0][0], -group[0][1]))
    return [{"params": members, "weight_decay": decay, "rate": rate} for (rate, decay), members in in_order]


def make_optimizer(
    model: nn.Module,
    settings: TrainingSpec,
    learning_rate: float,
    rates: Mapping[str, float] | None = None,
    no_decay: Collection[str] = (),
) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), in its fused form: one kernel for all weights.

    ``rates`` and ``no_decay``: as of :func:`parameter_groups`; the first group has the largest rate.
    """
    groups = parameter_groups(model, settings.weight_decay, rates, no_decay)
    return torch.optim.AdamW(
        [{**group, "lr": learning_rate * group["rate"]} for group in groups],
        lr=learning_rate,
        betas=(settings.adam_beta1, settings.adam_beta2),
        eps=settings.adam_epsilon,
        fused=True,
    )


def learning_rate_factor(step: int, steps: int, warmup_ratio: float, lr_schedule: str) -> float:
    """What the largest learning rate is multiplied by at ``step`` of ``steps``.

    It rises in a line over the first ``warmup_ratio`` share of steps, then falls to zero in a line or in half a
    cosine, or stays.
    """
    rising = math.ceil(warmup_ratio * steps)
    if step < rising:
        return step / rising
    if lr_schedule == "constant":
        return 1.0
    done = (step - rising) / max(1, steps - rising)
    return max(0.0, 1 - done) if lr_schedule == "linear" else 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def make_schedule(
    optimizer: torch.optim.Optimizer, settings: TrainingSpec, steps: int, schedule: Schedule | None = None
) -> LambdaLR:
    """The way of the learning rate through a run of ``steps`` optimizer steps: ``schedule``, or the spec's."""
    if schedule is not None:
        return LambdaLR(optimizer, lambda step: schedule(step, steps))
    return LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, steps, settings.warmup_ratio, settings.lr_schedule)
    )


def gradient_norm(parameters: Iterable[nn.Parameter]) -> torch.Tensor:
    """Euclidean norm of all gradients together, a scalar on their device."""
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
