"""LoRA: the weights stay, small low-rank matrices beside them move (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from workbench.errors import SpecError
from workbench.files import read_json, write_json
from workbench.spec import Part
from workbench.tuning.anatomy import Anatomy
from workbench.tuning.base import Tuning, tunings

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


@tunings.register("lora")
class Lora(Tuning):
    """LoRA: low-rank matrices beside the frozen weights; a result of a few megabytes or less."""

    learning_rate = 1e-3
    saves_adapter = True

    class Config(Part):
        rank: int = Field(8, ge=1, le=1024, description="Rank of the added matrices: more is stronger and larger.")
        alpha: int = Field(16, ge=1, le=4096, description="Scale of what they add; it is divided by the rank.")
        dropout: float = Field(0.1, ge=0, lt=1, description="Dropout before the added matrices.")
        targets: Literal["attention", "all-linear"] = Field(
            "attention",
            description="Where the matrices go: attention's queries and values, or every linear map.",
        )
        dora: bool = Field(False, description="Weight-decomposed LoRA (DoRA): a little better, a little slower.")
        rslora: bool = Field(False, description="Divide alpha by the root of the rank (rsLoRA): for high ranks.")

    config: Config

    def apply(self, model: Any, peft_type: str, new: Collection[str] = ()) -> Any:
        from peft import LoraConfig, get_peft_model

        options = self.config
        config = LoraConfig(
            task_type=peft_type,
            r=options.rank,
            lora_alpha=options.alpha,
            lora_dropout=options.dropout,
            target_modules=self._targets(model),
            modules_to_save=_beside_the_head(new) or None,
            use_dora=options.dora,
            use_rslora=options.rslora,
        )
        return get_peft_model(model, config)

    def _targets(self, model: Any) -> list[str]:
        """The full names of the linear maps that get matrices; all lie in the layers."""
        inside = {id(module) for module in Anatomy.of(model).layers.modules()}
        linear = [
            name
            for name, module in model.named_modules()
            if id(module) in inside and type(module).__name__ in ("Linear", "Conv1D")
        ]
        if not linear:
            raise SpecError(
                f"LoRA adds matrices beside linear maps, and the layers of {type(model).__name__} have none.",
                "Use `tuning: full` with this model.",
            )
        if self.config.targets == "all-linear":
            return linear
        chosen = [name for name in linear if name.rpartition(".")[2] in QUERY_AND_VALUE]
        chosen = chosen or [name for name in linear if "attention" in name or "attn" in name]
        if not chosen:
            raise SpecError(
                f"LoRA finds no attention in the layers of {type(model).__name__}.", "Set tuning.targets to all-linear."
            )
        return chosen

    def save(self, model: Any, folder: Path) -> None:
        model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
        # The base is named in workbench.json. peft's own note and its model card hold a path of this machine.
        (folder / "README.md").unlink(missing_ok=True)
        note = folder / "adapter_config.json"
        write_json(note, {**(read_json(note) or {}), "base_model_name_or_path": None})


def _beside_the_head(new: Collection[str]) -> list[str]:
    """Modules that were made anew and must be saved, but for the head: peft saves what ends so by itself."""
    modules = {name.rpartition(".")[0] for name in new}
    return sorted(m for m in modules if not any(part.endswith(("classifier", "score")) for part in m.split(".")))
