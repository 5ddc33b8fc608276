"""The optimizer and the learning rate schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeAlias, TypedDict

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from workbench.spec import TrainingSpec

# Factor on the peak learning rate, given the step and the number of steps.
LRMultiplier: TypeAlias = Callable[[int, int], float]

NORM_LAYERS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.BatchNorm1d)


class ParameterGroup(TypedDict):
    """Weights with the same weight decay and learning rate."""

    params: list[nn.Parameter]
    weight_decay: float
    lr_multiplier: float


def parameter_groups(
    model: nn.Module,
    weight_decay: float,
    lr_multipliers: Mapping[str, float] | None = None,
    no_decay: Collection[str] = (),
) -> list[ParameterGroup]:
    """Group the trainable weights by weight decay and learning rate.

    Matrices decay; biases and the weights of norm layers do not. Decay pulls weights towards zero to keep the function
    simple, and this has no such meaning for a bias or the gain of a norm.

    Args:
        model: weights with ``requires_grad`` are trained.
        weight_decay: weight decay, for the weights that decay.
        lr_multipliers: factors on the learning rate by weight name; 1 for other weights.
        no_decay: parts of the names of further weights without weight decay.

    Returns:
        The groups, the largest learning rate first.
    """
    undecayed = {
        id(parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(module, NORM_LAYERS) or "norm" in type(module).__name__.lower() or name.endswith("bias")
    }
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            exempt = id(parameter) in undecayed or any(fragment in name for fragment in no_decay)
            key = ((lr_multipliers or {}).get(name, 1.0), 0.0 if exempt else weight_decay)
            groups.setdefault(key, []).append(parameter)
    in_order = sorted(groups.items(), key=lambda group: (-group[0][0], -group[0][1]))
    return [
        {"params": members, "weight_decay": decay, "lr_multiplier": multiplier}
        for (multiplier, decay), members in in_order
    ]


def make_optimizer(
    model: nn.Module,
    settings: TrainingSpec,
    learning_rate: float,
    lr_multipliers: Mapping[str, float] | None = None,
    no_decay: Collection[str] = (),
) -> torch.optim.AdamW:
    """Make an AdamW optimizer (Loshchilov and Hutter 2019, arXiv 1711.05101), fused: one kernel for all weights.

    Args:
        model: weights with ``requires_grad`` are trained.
        settings: the ``training`` section of a spec.
        learning_rate: the peak learning rate.
        lr_multipliers: see :func:`parameter_groups`.
        no_decay: see :func:`parameter_groups`.
    """
    groups = parameter_groups(model, settings.weight_decay, lr_multipliers, no_decay)
    return torch.optim.AdamW(
        [{**group, "lr": learning_rate * group["lr_multiplier"]} for group in groups],
        lr=learning_rate,
        betas=(settings.adam_beta1, settings.adam_beta2),
        eps=settings.adam_epsilon,
        fused=True,
    )


def learning_rate_factor(step: int, steps: int, warmup_ratio: float, lr_schedule: str) -> float:
    """Return the factor on the peak learning rate at a step.

    It rises linearly during warm-up, then falls to zero linearly or along half a cosine, or stays at 1.

    Args:
        step: the step, from 0.
        steps: number of steps of the run.
        warmup_ratio: share of the steps that are warm-up.
        lr_schedule: ``linear``, ``cosine`` or ``constant``.
    """
    warmup_steps = math.ceil(warmup_ratio * steps)
    if step < warmup_steps:
        return step / warmup_steps
    if lr_schedule == "constant":
        return 1.0
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    if lr_schedule == "linear":
        return max(0.0, 1 - progress)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def make_schedule(
    optimizer: torch.optim.Optimizer, settings: TrainingSpec, steps: int, lr_multiplier: LRMultiplier | None = None
) -> LambdaLR:
    """Make the learning rate schedule of a run.

    Args:
        optimizer: with the peak learning rates.
        settings: the ``training`` section of a spec.
        steps: number of steps of the run.
        lr_multiplier: factor on the peak learning rate at a step; None for the spec's schedule.
    """
    if lr_multiplier is not None:
        return LambdaLR(optimizer, lambda step: lr_multiplier(step, steps))
    return LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, steps, settings.warmup_ratio, settings.lr_schedule)
    )


def gradient_norm(parameters: Iterable[nn.Parameter]) -> torch.Tensor:
    """Return the Euclidean norm of all gradients together, a scalar on their device.

    Args:
        parameters: those without a gradient are skipped.
    """
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
