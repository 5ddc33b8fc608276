"""A forward pass: from a batch to the model's output."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

import torch
from torch import nn

Batch: TypeAlias = dict[str, torch.Tensor]  # the keyword arguments of a model


class ModelOutput(Protocol):
    """The output of a transformers model that was given labels."""

    @property
    def loss(self) -> torch.Tensor:
        """The mean loss of the batch, a scalar."""

    def values(self) -> Iterable[object]:
        """Return the tensors of the output, and what else it holds."""


Forward: TypeAlias = Callable[[nn.Module, Batch], ModelOutput]


def default_forward(model: nn.Module, batch: Batch) -> ModelOutput:
    """Return the output of a model for a batch of keyword arguments.

    Args:
        model: a transformers model.
        batch: on the model's device.
    """
    output: ModelOutput = model(**batch)
    return output
