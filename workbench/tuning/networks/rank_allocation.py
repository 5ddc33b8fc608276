"""AdaLoRA's rank allocation (Zhang et al. 2023, arXiv 2303.10512): peft's allocator, with state that checkpoints save.

The added matrix is B diag(E) A. The importance of each of its ranks is tracked from step to step (equations 9 to 11);
from time to time the least important ranks of all matrices lose their entry in E. The budget falls from the initial to
the final ranks along a cubic (equation 12).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from workbench.types import Model

if TYPE_CHECKING:
    from peft import AdaLoraConfig, PeftModel

ADAPTER = "default"
MIN_STEPS = 2  # between the first and the last removal of ranks; with fewer there is nothing to learn from


class _BufferedTensors(MutableMapping[str, Tensor]):
    """A dictionary of tensors stored in the buffers of a module, so that checkpoints save them."""

    def __init__(self, holder: nn.Module, prefix: str, like: Mapping[str, Tensor]) -> None:
        self.holder = holder
        self.buffers = {name: f"{prefix}_{number}" for number, name in enumerate(like)}
        for name, tensor in like.items():
            holder.register_buffer(self.buffers[name], torch.zeros_like(tensor, requires_grad=False))

    def __getitem__(self, name: str) -> Tensor:
        tensor: Tensor = getattr(self.holder, self.buffers[name])
        return tensor

    def __setitem__(self, name: str, value: Tensor) -> None:
        self[name].copy_(value)

    def __delitem__(self, name: str) -> None:
        raise TypeError("buffers cannot be deleted")

    def __iter__(self) -> Iterator[str]:
        return iter(self.buffers)

    def __len__(self) -> int:
        return len(self.buffers)


def buffer_importance(model: Model) -> None:
    """Store the allocator's statistics in buffers of the model.

    Args:
        model: peft's model around an AdaLoraModel.
    """
    weights = {
        name: weight.detach()
        for name, weight in _base(model).named_parameters()
        if "lora_" in name and ADAPTER in name and weight.requires_grad
    }
    holder = model.importance = nn.Module()  # on the outermost module: inner ones are saved with the adapter
    allocator = _tuner(model).rankallocator
    allocator.ipt = dict.fromkeys(weights, torch.zeros(()))  # of a single step; peft checks whether a name is there
    allocator.exp_avg_ipt = _BufferedTensors(holder, "sensitivity", weights)
    allocator.exp_avg_unc = _BufferedTensors(holder, "uncertainty", weights)
    allocator.reset_ipt = lambda: None  # peft discards the statistics when ranks are allocated; buffers remain


def add_orthogonality(model: Model, strength: float) -> None:
    """Add the gradient of strength · mean ‖PᵀP - I‖ over all A and B (equation 4) to the loss's gradient.

    Args:
        model: peft's model around an AdaLoraModel, after the backward pass.
        strength: strength of the penalty; 0 for none.
    """
    matrices = [
        (name, weight)
        for name, weight in _base(model).named_parameters()
        if ("lora_A" in name or "lora_B" in name) and weight.requires_grad
    ]
    if not strength or not matrices:
        return
    for name, weight in matrices:
        if weight.grad is None:
            continue
        with torch.enable_grad():
            copy = weight.detach().float().requires_grad_()
            product = copy @ copy.T if "lora_A" in name else copy.T @ copy
            distance = torch.linalg.norm(product - torch.eye(len(product), device=product.device))
            (gradient,) = torch.autograd.grad(distance, copy)
        weight.grad += strength / len(matrices) * gradient.to(weight.grad.dtype)


def restore_ranks(model: Model, step: int, steps: int, end: int) -> None:
    """Restore ranks that were final before a run was resumed: removed ranks are those that are zero.

    Args:
        model: peft's model around an AdaLoraModel, before the step.
        step: number of this step, from 1.
        steps: number of steps in the run.
        end: number of steps, at the end, in which ranks are fixed.
    """
    if step > steps - end and _config(model).rank_pattern is None:
        record_rank_pattern(model)


def allocate_ranks(model: Model, step: int, steps: int, start: int, end: int) -> None:
    """Update the importance of each rank after a step, and remove ranks when it is time.

    Args:
        model: peft's model around an AdaLoraModel; the gradients of the step are still there.
        step: number of this step, from 1.
        steps: number of steps in the run.
        start: number of steps before any rank is removed.
        end: number of steps, at the end, in which ranks are fixed.
    """
    config = _config(model)
    if steps - end - start < MIN_STEPS:
        return
    config.tinit, config.tfinal, config.total_step = start, end, steps
    with torch.no_grad():
        _tuner(model).update_and_allocate(step)


def current_ranks(model: Model) -> dict[str, int]:
    """Return the rank of each matrix, by the name of the linear layer that it is added to.

    Args:
        model: peft's model around an AdaLoraModel.
    """
    suffix = f".lora_E.{ADAPTER}"
    return {name.removesuffix(suffix): sum(mask) for name, mask in _rank_pattern(model).items()}


def record_rank_pattern(model: Model) -> None:
    """Write the current ranks into the configuration, so that peft does not save the others.

    The weights may be those of an earlier step than the last (the best): a rank counts if its entry is not zero.

    Args:
        model: peft's model around an AdaLoraModel.
    """
    _config(model).rank_pattern = _rank_pattern(model)


def _rank_pattern(model: Model) -> dict[str, list[bool]]:
    marker = f"lora_E.{ADAPTER}"
    return {name: (weight != 0).view(-1).tolist() for name, weight in _base(model).named_parameters() if marker in name}


def _tuner(model: Model) -> Any:  # peft's AdaLoraModel, most of whose attributes are untyped
    return model.base_model


def _base(model: Model) -> nn.Module:
    base: nn.Module = _tuner(model).model
    return base


def _config(model: Model) -> AdaLoraConfig:
    return cast("AdaLoraConfig", cast("PeftModel", model).peft_config[ADAPTER])
