"""BitFit's layer (Ben Zaken et al. 2022, arXiv 2106.10199), as a method for peft: a vector added to a module's output.

A bias is added last, so adding a vector to the output trains the bias. The base is unchanged, and the vectors are saved
alone; merging adds them to the biases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from peft.tuners.tuners_utils import check_adapters_to_merge
from torch import Tensor, nn

from workbench.tuning.networks.injection import InjectedConfig, InjectedLayer, InjectionTuner


@dataclass
class BitFitConfig(InjectedConfig):
    """Configuration of BitFit."""

    name: ClassVar[str] = "WORKBENCH_BITFIT"


class BiasShift(nn.Module):
    """The vector that is added. It is named ``bias`` so that it gets no weight decay.

    Args:
        width: width of the bias.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))


class BitFitLayer(InjectedLayer):
    """A linear layer or norm whose bias is trained.

    Args:
        base_layer: the module; adding its ``bias`` is its last operation.
        adapter_name: peft's name for the weights.
        config: the method's configuration.
    """

    adapter_layer_names = ("shift",)

    def __init__(self, base_layer: nn.Module, adapter_name: str, config: BitFitConfig) -> None:
        super().__init__(base_layer)
        self.shift = nn.ModuleDict({adapter_name: BiasShift(len(self._base_bias()))})
        self.activate(adapter_name, config)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Compute the module's output with the trained bias.

        Args:
            x: the module's input.
            *args: passed to the module.
            **kwargs: passed to the module.
        """
        hidden: Tensor = self.base_layer(x, *args, **kwargs)
        if not self.disable_adapters and not self.merged:
            for name in self.active_adapters:
                hidden = hidden + self._vector(name).to(hidden.dtype)
        return hidden

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Add the vectors to the base's bias.

        Args:
            safe_merge: part of peft's interface; not used.
            adapter_names: whose vectors to add; all active ones if None.
        """
        for name in check_adapters_to_merge(self, adapter_names):
            self._base_bias().data += self._vector(name).data
            self.merged_adapters.append(name)

    def unmerge(self) -> None:
        """Subtract the merged vectors again."""
        while self.merged_adapters:
            self._base_bias().data -= self._vector(self.merged_adapters.pop()).data

    def _base_bias(self) -> Tensor:
        bias: Tensor = self.get_base_layer().bias  # type: ignore[assignment]
        return bias

    def _vector(self, name: str) -> Tensor:
        vector: Tensor = self.shift[name].bias  # type: ignore[assignment]
        return vector


class BitFitModel(InjectionTuner):
    """A model in which the biases of the target modules are trained."""

    prefix = "shift."
    tuner_layer_cls = BitFitLayer
