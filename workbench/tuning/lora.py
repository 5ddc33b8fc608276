"""LoRA: frozen weights with small trained low-rank matrices added to them (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workbench.errors import SpecError
from workbench.spec import SpecModel
from workbench.tuning.adapters import AdapterTuning, is_conv1d, require_targets
from workbench.tuning.base import tunings
from workbench.tuning.structure import ModelStructure
from workbench.types import Model

if TYPE_CHECKING:
    from peft import PeftConfig

# Names of query and value layers, or of layers for all three; the paper adapts these (section 4.2).
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
    """LoRA: low-rank matrices added to the frozen weights; the result takes a few megabytes or less."""

    learning_rate = 1e-3

    class Config(SpecModel):
        """Options of LoRA."""

        rank: int = Field(8, ge=1, le=1024, description="Rank of the added matrices: higher is stronger and larger.")
        alpha: int = Field(16, ge=1, le=4096, description="Scale of the added matrices, divided by the rank.")
        dropout: float = Field(0.1, ge=0, lt=1, description="Dropout before the added matrices.")
        targets: Targets = Field(
            "attention",
            description="Layers that get matrices: attention's queries and values, or every linear layer.",
        )
        dora: bool = Field(False, description="Weight-decomposed LoRA (DoRA): slightly better, slightly slower.")
        rslora: bool = Field(False, description="Divide alpha by the square root of the rank (rsLoRA): for high ranks.")

    config: Config

    def peft_config(self, model: Model, peft_type: str, modules_to_save: list[str]) -> PeftConfig:
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
            modules_to_save=modules_to_save or None,
            use_dora=options.dora,
            use_rslora=options.rslora,
        )


def find_targets(model: Model, targets: Targets, method: str) -> list[str]:
    """Find the linear layers that get matrices.

    Args:
        model: as loaded.
        targets: which kind of layers.
        method: for messages, such as ``"LoRA"``.

    Returns:
        Full names; all are inside the Transformer layers.

    Raises:
        SpecError: there are none.
    """
    linear = ModelStructure.of(model).linear_modules()
    require_targets(linear, method, "adds matrices to linear layers", model)
    if targets == "all-linear":
        return linear
    selected = [name for name in linear if name.rpartition(".")[2] in QUERY_AND_VALUE]
    selected = selected or [name for name in linear if "attention" in name or "attn" in name]
    if not selected:
        raise SpecError(
            f"{method} found no attention in the layers of {type(model).__name__}.",
            "Set tuning.targets to all-linear.",
        )
    return selected
