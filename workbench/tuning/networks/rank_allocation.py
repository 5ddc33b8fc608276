"""Ranks of AdaLoRA (Zhang et al. 2023, arXiv 2303.10512): peft's allocator, with a memory that checkpoints hold.

A matrix is added as B diag(E) A. How much each of its ranks matters is followed from step to step (equations 9 to 11);
from time to time the least important of all ranks of all matrices lose their entry in E. The budget falls from the
initial ranks to the final ones as a cubic (equation 12).
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn

ADAPTER = "default"
SHORTEST = 2  # steps between the beginning and the end of taking ranks away; with fewer there is nothing to learn from


class _Kept(MutableMapping[str, Tensor]):
    """A dictionary of tensors that lives in the buffers of a module, so that checkpoints hold it."""

    def __init__(self, holder: nn.Module, kind: str, like: dict[str, Tensor]) -> None:
        self.holder = holder
        self.places = {name: f"{kind}_{number}" for number, name in enumerate(like)}
        for name, tensor in like.items():
            holder.register_buffer(self.places[name], torch.zeros_like(tensor, requires_grad=False))

    def __getitem__(self, name: str) -> Tensor:
        found: Tensor = getattr(self.holder, self.places[name])
        return found

    def __setitem__(self, name: str, value: Tensor) -> None:
        self[name].copy_(value)

    def __delitem__(self, name: str) -> None:
        raise TypeError("what is kept stays")

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def buffer_importance(model: Any) -> None:
    """Let the allocator of ``model`` (peft's, around an AdaLoraModel) remember in buffers of ``model``."""
    inner = model.base_model
    weights = {
        name: weight.detach()
        for name, weight in inner.model.named_parameters()
        if "lora_" in name and ADAPTER in name and weight.requires_grad
    }
    model.importance = nn.Module()  # on the outermost: what lies further in is saved with the adapter
    allocator = inner.rankallocator
    allocator.ipt = dict.fromkeys(weights, torch.zeros(()))  # of one step alone; peft asks whether a name is there
    allocator.exp_avg_ipt = _Kept(model.importance, "sensitivity", weights)
    allocator.exp_avg_unc = _Kept(model.importance, "uncertainty", weights)
    allocator.reset_ipt = lambda: None  # peft forgets when the ranks are dealt; here the buffers stay as they are


def add_orthogonality(model: Any, strength: float) -> None:
    """Add the gradient of strength · mean ‖PᵀP - I‖ over all A and B (equation 4) to what the loss has given."""
    pairs = [
        (name, weight)
        for name, weight in model.base_model.model.named_parameters()
        if ("lora_A" in name or "lora_B" in name) and weight.requires_grad
    ]
    if not strength or not pairs:
        return
    for name, weight in pairs:
        if weight.grad is None:
            continue
        with torch.enable_grad():
            copy = weight.detach().float().requires_grad_()
            product = copy @ copy.T if "lora_A" in name else copy.T @ copy
            off = torch.linalg.norm(product - torch.eye(len(product), device=product.device))
            (gradient,) = torch.autograd.grad(off, copy)
        weight.grad += strength / len(pairs) * gradient.to(weight.grad.dtype)


def restore_ranks(model: Any, step: int, steps: int, end: int) -> None:
    """Before a step whose ranks are settled: what a process before this one has taken away is what is zero now."""
    config = model.base_model.peft_config[ADAPTER]
    if step > steps - end and config.rank_pattern is None:
        record_rank_pattern(model)


def allocate_ranks(model: Any, step: int, steps: int, start: int, end: int) -> None:
    """After ``step`` of ``steps``: note how much each rank matters, and take ranks away where it is time.

    Args:
        model: around an AdaLoraModel; the gradients of the step are still there.
        start: steps before any rank is taken away.
        end: steps, the last ones, in which the ranks stay.
    """
    inner = model.base_model
    config = inner.peft_config[ADAPTER]
    if steps - end - start < SHORTEST:
        return
    config.tinit, config.tfinal, config.total_step = start, end, steps
    with torch.no_grad():
        inner.update_and_allocate(step)


def ranks(model: Any) -> dict[str, int]:
    """The rank of each matrix, by the name of the linear map that it stands beside."""
    return {
        name.removesuffix(f".lora_E.{ADAPTER}"): sum(kept) for name, kept in _pattern(model.base_model.model).items()
    }


def record_rank_pattern(model: Any) -> None:
    """Write the ranks that the weights have into the configuration, by which peft leaves the others out when saving.

    The weights may be those of an earlier step than the last (the best): what counts is where they are not zero.
    """
    model.base_model.peft_config[ADAPTER].rank_pattern = _pattern(model.base_model.model)


def _pattern(model: Any) -> dict[str, list[bool]]:
    marker = f"lora_E.{ADAPTER}"
    return {name: (weight != 0).view(-1).tolist() for name, weight in model.named_parameters() if marker in name}
