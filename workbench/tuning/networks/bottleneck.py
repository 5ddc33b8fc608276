"""Bottleneck adapters (Houlsby et al. 2019, arXiv 1902.00751, section 2.1), as a method of peft's.

    x + up(bend(down(x)))     down: D to m numbers, up: m to D, m much smaller than D

Each has 2 m D + D + m weights. They begin so small that the whole is nearly the identity: the model starts from what
it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": nn.functional.gelu, "relu": nn.functional.relu}
INITIAL = 1e-2  # standard deviation, cut at twice as much (section 3.6)


@dataclass
class BottleneckConfig(PeftConfig):
    """What ``adapter_config.json`` holds.

    Attributes:
        width: m.
        activation: how it bends; a key of ACTIVATIONS.
        target_modules: names of the linear maps that an adapter stands behind.
        modules_to_save: names of modules that are trained whole.
    """

    name: ClassVar[str] = "WORKBENCH_BOTTLENECK"
    width: int = 64
    activation: str = "gelu"
    target_modules: list[str] | None = field(default=None)
    exclude_modules: list[str] | None = field(default=None)
    modules_to_save: list[str] | None = field(default=None)

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]
        self.peft_type = self.name


class Bottleneck(nn.Module, BaseTunerLayer):
    """A linear map with an adapter behind it.

    Args:
        base_layer: the map; its output is D wide.
        adapter_name: peft's name for the weights.
        config: the numbers.
    """

    adapter_layer_names = ("bottleneck_down", "bottleneck_up")

    def __init__(self, base_layer: nn.Module, adapter_name: str, config: BottleneckConfig) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.bend = ACTIVATIONS[config.activation]
        width = output_width(base_layer)
        self.bottleneck_down = nn.ModuleDict({adapter_name: _begin_small(nn.Linear(width, config.width))})
        self.bottleneck_up = nn.ModuleDict({adapter_name: _begin_small(nn.Linear(config.width, width))})
        self._active_adapter = adapter_name
        self.merged_adapters: list[str] = []
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(adapter_name, inference_mode=config.inference_mode)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """[..., in] to [..., D]."""
        hidden: Tensor = self.base_layer(x, *args, **kwargs)
        if not self.disable_adapters:
            for name in self.active_adapters:
                hidden = hidden + self.bottleneck_up[name](self.bend(self.bottleneck_down[name](hidden)))
        return hidden


class BottleneckModel(BaseTuner):
    """Puts an adapter behind each of the maps that the configuration names."""

    prefix = "bottleneck_"
    tuner_layer_cls = Bottleneck
    target_module_mapping = {}  # noqa: RUF012
    merges = False

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
        self._replace_module(parent, target_name, Bottleneck(target, adapter_name, peft_config), target)


def output_width(linear: nn.Module) -> int:
    """How many numbers a linear map puts out."""
    found = getattr(linear, "out_features", None) or linear.nf  # nf: of transformers' Conv1D
    return int(found)  # type: ignore[arg-type]


def _begin_small(linear: nn.Linear) -> nn.Linear:
    with torch.no_grad():
        nn.init.trunc_normal_(linear.weight, std=INITIAL, a=-2 * INITIAL, b=2 * INITIAL)
        nn.init.zeros_(linear.bias)
    return linear
