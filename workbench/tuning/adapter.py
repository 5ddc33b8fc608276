"""Bottleneck adapters: small trained networks between the frozen layers (Houlsby et al. 2019, arXiv 1902.00751)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workbench.errors import SpecError
from workbench.spec import SpecModel
from workbench.tuning.adapters import AdapterTuning, require_targets
from workbench.tuning.base import tunings
from workbench.tuning.structure import ModelStructure
from workbench.types import Model

if TYPE_CHECKING:
    from torch.nn import Module

    from workbench.tuning.networks.bottleneck import BottleneckConfig, BottleneckModel


@tunings.register("adapter")
class Adapter(AdapterTuning):
    """Adapters: small networks after attention and after the feed-forward network of each frozen layer."""

    learning_rate = 1e-3
    merges = False

    class Config(SpecModel):
        """Options of bottleneck adapters."""

        width: int = Field(
            64, ge=1, le=4096, description="Width of the bottleneck, m; each adapter has 2 m D + D + m weights."
        )
        activation: Literal["gelu", "relu"] = Field("gelu", description="Activation between down- and up-projection.")
        norms: bool = Field(True, description="Also train the norms of the layers, as the paper does.")

    config: Config

    @classmethod
    def peft_method(cls) -> tuple[type[BottleneckConfig], type[BottleneckModel]]:
        from workbench.tuning.networks.bottleneck import BottleneckConfig, BottleneckModel

        return BottleneckConfig, BottleneckModel

    def peft_config(self, model: Model, peft_type: str, modules_to_save: list[str]) -> BottleneckConfig:
        from workbench.tuning.networks.bottleneck import BottleneckConfig, output_width

        structure = ModelStructure.of(model)
        attention, feed_forward = structure.output_projections()
        targets = require_targets(attention + feed_forward, "An adapter", "follows linear layers", model)
        width = model.config.hidden_size
        if any(output_width(model.get_submodule(name)) != width for name in targets):
            raise SpecError(
                f"The output layers of attention and feed-forward network were not found in {type(model).__name__}.",
                "Use `tuning: lora` with this model.",
            )
        norms = [name for name, module in structure.named_layer_modules() if self.config.norms and _is_norm(module)]
        return BottleneckConfig(
            task_type=peft_type,
            width=self.config.width,
            activation=self.config.activation,
            target_modules=targets,
            modules_to_save=[*modules_to_save, *norms] or None,
        )


def _is_norm(module: Module) -> bool:
    return "norm" in type(module).__name__.lower() and any(True for _ in module.parameters(recurse=False))
