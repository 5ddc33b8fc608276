"""Shifted biases (BitFit: Ben Zaken et al. 2022, arXiv 2106.10199), as a method of peft's.

A bias is added last, so to add a vector to what a module puts out is to move its bias. The base stays as it is, and
the vectors are saved alone; merged, they are added to the biases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer, check_adapters_to_merge
from torch import Tensor, nn


@dataclass
class BitFitConfig(PeftConfig):
    """What ``adapter_config.json`` holds.

    Attributes:
        target_modules: names of the modules whose bias moves.
        modules_to_save: names of modules that are trained whole.
    """

    name: ClassVar[str] = "WORKBENCH_BITFIT"
    target_modules: list[str] | None = field(default=None)
    exclude_modules: list[str] | None = field(default=None)
    modules_to_save: list[str] | None = field(default=None)

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]
        self.peft_type = self.name


class Shift(nn.Module):
    """A vector that is added; it is called a bias, and so weight decay leaves it alone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))


class BitFitLayer(nn.Module, BaseTunerLayer):
    """A linear map or a norm whose bias moves.

    Args:
        base_layer: the module; it has a ``bias``, which is the last thing that it adds.
        adapter_name: peft's name for the weights.
        config: peft's.
    """

    adapter_layer_names = ("shift",)

    def __init__(self, base_layer: Any, adapter_name: str, config: BitFitConfig) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.shift = nn.ModuleDict({adapter_name: Shift(len(base_layer.bias))})
        self._active_adapter = adapter_name
        self.merged_adapters: list[str] = []
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(adapter_name, inference_mode=config.inference_mode)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """What the module puts out, shifted."""
        hidden: Tensor = self.base_layer(x, *args, **kwargs)
        if not self.disable_adapters and not self.merged:
            for name in self.active_adapters:
                hidden = hidden + self._vector(name).to(hidden.dtype)
        return hidden

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Add the vectors to the base's bias."""
        for name in check_adapters_to_merge(self, adapter_names):
            self.get_base_layer().bias.data += self._vector(name).data  # type: ignore[operator]
            self.merged_adapters.append(name)

    def unmerge(self) -> None:
        """Take them away again."""
        while self.merged_adapters:
            vector = self._vector(self.merged_adapters.pop())
            self.get_base_layer().bias.data -= vector.data  # type: ignore[operator]

    def _vector(self, name: str) -> Tensor:
        found: Tensor = self.shift[name].bias  # type: ignore[assignment]
        return found


class BitFitModel(BaseTuner):
    """Shifts the bias of each of the modules that the configuration names."""

    prefix = "shift."
    tuner_layer_cls = BitFitLayer
    target_module_mapping = {}  # noqa: RUF012

    def _create_and_replace(
        self,
        peft_config: Any,
        adapter_name: str,
        target: Any,
        target_name: str,
        parent: Any,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        self._replace_module(parent, target_name, BitFitLayer(target, adapter_name, peft_config), target)
