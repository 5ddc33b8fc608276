"""Bottleneck adapters (Houlsby et al. 2019, arXiv 1902.00751, section 2.1), as a method for peft.

    x + up(activation(down(x)))     down: D to m numbers, up: m to D, m much smaller than D

Each has 2 m D + D + m weights. They start so small that an adapter is nearly the identity: the model starts as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from workbench.tuning.networks.injection import InjectedConfig, InjectedLayer, InjectionTuner

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": nn.functional.gelu, "relu": nn.functional.relu}
INITIAL_STD = 1e-2  # of the weights, truncated at two standard deviations (section 3.6)


@dataclass
class BottleneckConfig(InjectedConfig):
    """Configuration of bottleneck adapters; ``target_modules`` are the linear layers that an adapter follows.

    Attributes:
        width: m.
        activation: a key of ACTIVATIONS.
    """

    name: ClassVar[str] = "WORKBENCH_BOTTLENECK"
    width: int = 64
    activation: str = "gelu"


class Bottleneck(InjectedLayer):
    """A linear layer followed by an adapter.

    Args:
        base_layer: the linear layer; its output has width D.
        adapter_name: peft's name for the weights.
        config: the method's configuration.
    """

    adapter_layer_names = ("bottleneck_down", "bottleneck_up")

    def __init__(self, base_layer: nn.Module, adapter_name: str, config: BottleneckConfig) -> None:
        super().__init__(base_layer)
        self.activation = ACTIVATIONS[config.activation]
        width = output_width(base_layer)
        self.bottleneck_down = nn.ModuleDict({adapter_name: _init_small(nn.Linear(width, config.width))})
        self.bottleneck_up = nn.ModuleDict({adapter_name: _init_small(nn.Linear(config.width, width))})
        self.activate(adapter_name, config)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Compute the adapted output [..., D].

        Args:
            x: the linear layer's input.
            *args: passed to the linear layer.
            **kwargs: passed to the linear layer.
        """
        hidden: Tensor = self.base_layer(x, *args, **kwargs)
        if not self.disable_adapters:
            for name in self.active_adapters:
                hidden = hidden + self.bottleneck_up[name](self.activation(self.bottleneck_down[name](hidden)))
        return hidden


class BottleneckModel(InjectionTuner):
    """A model with an adapter after each target module."""

    prefix = "bottleneck_"
    tuner_layer_cls = Bottleneck
    merges = False


def output_width(linear: nn.Module) -> int:
    """Return the width of a linear layer's output.

    Args:
        linear: a torch linear layer, or transformers' Conv1D.
    """
    width = getattr(linear, "out_features", None) or linear.nf  # nf: of Conv1D
    return int(width)  # type: ignore[arg-type]


def _init_small(linear: nn.Linear) -> nn.Linear:
    with torch.no_grad():
        nn.init.trunc_normal_(linear.weight, std=INITIAL_STD, a=-2 * INITIAL_STD, b=2 * INITIAL_STD)
        nn.init.zeros_(linear.bias)
    return linear
