"""LoRA: the weights stay, small low-rank matrices beside them move (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from workbench.errors import SpecError
from workbench.spec import SpecModel
from workbench.tuning.adapters import AdapterTuning, is_conv1d, require_targets
from workbench.tuning.base import tunings
from workbench.tuning.structure import ModelStructure

# What architectures call the maps to queries and values, or to all three at once; the paper adapts these (section 4.2).
QUERY_AND_VALUE = {
    "query",
    "value",
    "q_proj",
    "v_proj",
    "q_lin",
    "v_lin",
    "q",
    "v",
    "c_attn",
    "query_key_value",
    "Wqkv",
}

Targets = Literal["attention", "all-linear"]


@tunings.register("lora")
class Lora(AdapterTuning):
    """LoRA: low-rank matrices beside the frozen weights; a result of a few megabytes or less."""

    learning_rate = 1e-3

    class Config(SpecModel):
        rank: int = Field(8, ge=1, le=1024, description="Rank of the added matrices: more is stronger and larger.")
        alpha: int = Field(16, ge=1, le=4096, description="Scale of what they add; it is divided by the rank.")
        dropout: float = Field(0.1, ge=0, lt=1, description="Dropout before the added matrices.")
        targets: Targets = Field(
            "attention",
            description="Where the matrices go: attention's queries and values, or every linear map.",
        )
        dora: bool = Field(False, description="Weight-decomposed LoRA (DoRA): a little better, a little slower.")
        rslora: bool = Field(False, description="Divide alpha by the root of the rank (rsLoRA): for high ranks.")

    config: Config

    def peft_config(self, model: Any, peft_type: str, whole: list[str]) -> Any:
        from peft import LoraConfig

        options = self.config
        targets = find_targets(model, options.targets, "LoRA")
        return LoraConfig(
            task_type=peft_type,
            r=options.rank,
            lora_alpha=options.alpha,
            lora_dropout=options.dropout,
            target_modules=targets,
            fan_in_fan_out=is_conv1d(model, targets),
            modules_to_save=whole or None,
            use_dora=options.dora,
            use_rslora=options.rslora,
        )


def find_targets(model: Any, targets: Targets, method: str) -> list[str]:
    """The full names of the linear maps that get matrices; all lie in the layers. Raises SpecError."""
    linear = require_targets(
        ModelStructure.of(model).linear_modules(), method, "adds matrices beside linear maps", model
    )
    if targets == "all-linear":
        return linear
    chosen = [name for name in linear if name.rpartition(".")[2] in QUERY_AND_VALUE]
    chosen = chosen or [name for name in linear if "attention" in name or "attn" in name]
    if not chosen:
        raise SpecError(
            f"{method} finds no attention in the layers of {type(model).__name__}.",
            "Set tuning.targets to all-linear.",
        )
    return chosen
