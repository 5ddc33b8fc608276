"""(IA)³: learned vectors scale keys, values and the feed-forward network (Liu et al. 2022, arXiv 2205.05638)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from workbench.spec import SpecModel
from workbench.tuning.adapters import AdapterTuning, is_conv1d, require_targets
from workbench.tuning.base import tunings
from workbench.tuning.structure import ModelStructure
from workbench.types import Model

if TYPE_CHECKING:
    from peft import PeftConfig

# Names of key and value layers. Where queries come from the same layer, they are scaled as well.
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
    """(IA)³: learned vectors scale keys, values and the feed-forward network; the fewest weights of all methods."""

    learning_rate = 3e-3
    no_decay = ("ia3_l",)  # they start at 1; decay would pull them to 0, where nothing passes

    class Config(SpecModel):
        """Options of (IA)³."""

        feed_forward: bool = Field(True, description="Also scale the input of the feed-forward network's last layer.")

    config: Config

    def peft_config(self, model: Model, peft_type: str, modules_to_save: list[str]) -> PeftConfig:
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
            modules_to_save=modules_to_save or None,
        )
