"""Bottleneck adapters: small networks between the frozen layers move (Houlsby et al. 2019, arXiv 1902.00751)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from workbench.errors import SpecError
from workbench.spec import SpecModel
from workbench.tuning.adapters import AdapterTuning, require_targets
from workbench.tuning.base import tunings
from workbench.tuning.structure import ModelStructure


@tunings.register("adapter")
class Adapter(AdapterTuning):
    """Adapters: small networks after attention and after the feed-forward network of each frozen layer."""

    learning_rate = 1e-3
    merges = False

    class Config(SpecModel):
        width: int = Field(
            64, ge=1, le=4096, description="Width of the bottleneck, m; each adapter has 2 m D + D + m weights."
        )
        activation: Literal["gelu", "relu"] = Field("gelu", description="How an adapter bends between its two maps.")
        norms: bool = Field(True, description="Also train the norms of the layers, as the paper does.")

    config: Config

    @classmethod
    def peft_method(cls) -> tuple[Any, Any]:
        from workbench.tuning.networks.bottleneck import BottleneckConfig, BottleneckModel

        return BottleneckConfig, BottleneckModel

    def peft_config(self, model: Any, peft_type: str, whole: list[str]) -> Any:
        from workbench.tuning.networks.bottleneck import BottleneckConfig, output_width

        structure = ModelStructure.of(model)
        attention, feed_forward = structure.output_projections()
        targets = require_targets(attention + feed_forward, "An adapter", "stands behind linear maps", model)
        width = model.config.hidden_size
        if any(output_width(model.get_submodule(name)) != width for name in targets):
            raise SpecError(
                f"What ends attention and the feed-forward network was not found in {type(model).__name__}.",
                "Use `tuning: lora` with this model.",
            )
        norms = (
            [name for name, module in structure.named_layer_modules() if _is_norm(module)] if self.config.norms else []
        )
        return BottleneckConfig(
            task_type=peft_type,
            width=self.config.width,
            activation=self.config.activation,
            target_modules=targets,
            modules_to_save=[*whole, *norms] or None,
        )


def _is_norm(module: Any) -> bool:
    return "norm" in type(module).__name__.lower() and any(True for _ in module.parameters(recurse=False))
