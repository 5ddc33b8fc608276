"""(IA)³: learned vectors scale keys, values and the feed-forward network (Liu et al. 2022, arXiv 2205.05638)."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from workbench.spec import SpecModel
from workbench.tuning.adapters import AdapterTuning, is_conv1d, require_targets
from workbench.tuning.base import tunings
from workbench.tuning.structure import ModelStructure

# What architectures call the maps to keys and values. Where queries come out of the same map, they are scaled as well.
KEY_AND_VALUE = {
    "key",
    "value",
    "key_proj",
    "value_proj",
    "k_proj",
    "v_proj",
    "k_lin",
    "v_lin",
    "k",
    "v",
    "key_value",
    "c_attn",
    "query_key_value",
    "Wqkv",
}


@tunings.register("ia3")
class IA3(AdapterTuning):
    """(IA)³: learned vectors scale keys, values and the feed-forward network; the fewest weights of all."""

    learning_rate = 3e-3
    no_decay = ("ia3_l",)  # they begin at 1: decay would pull them to where nothing passes

    class Config(SpecModel):
        feed_forward: bool = Field(True, description="Also scale what goes into the end of the feed-forward network.")

    config: Config

    def peft_config(self, model: Any, peft_type: str, whole: list[str]) -> Any:
        from peft import IA3Config

        structure = ModelStructure.of(model)
        attention = [name for name in structure.linear_modules() if name.rpartition(".")[2] in KEY_AND_VALUE]
        require_targets(attention, "(IA)³", "scales attention's keys and values", model)
        feed_forward = structure.output_projections()[1] if self.config.feed_forward else []
        return IA3Config(
            task_type=peft_type,
            target_modules=attention + feed_forward,
            feedforward_modules=feed_forward,
            fan_in_fan_out=is_conv1d(model, attention),
            modules_to_save=whole or None,
        )
