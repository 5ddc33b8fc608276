"""LoRA: the weights stay, small low-rank matrices beside them move (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from workbench.errors import SpecError
from workbench.files import read_json, write_json
from workbench.spec import Part
from workbench.tuning.base import Tuning, tunings


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
            description="Where the matrices go: some of attention's weights, or every linear layer.",
        )
        dora: bool = Field(False, description="Weight-decomposed LoRA (DoRA): a little better, a little slower.")
        rslora: bool = Field(False, description="Divide alpha by the root of the rank (rsLoRA): for high ranks.")

    config: Config

    def apply(self, model: Any, peft_type: str) -> Any:
        from peft import LoraConfig, get_peft_model

        options = self.config
        targets = "all-linear" if options.targets == "all-linear" else None  # None: peft's own table by architecture
        config = LoraConfig(
            task_type=peft_type,
            r=options.rank,
            lora_alpha=options.alpha,
            lora_dropout=options.dropout,
            target_modules=targets,
            use_dora=options.dora,
            use_rslora=options.rslora,
        )
        try:
            return get_peft_model(model, config)
        except ValueError as error:
            raise SpecError(
                f"LoRA does not know where to put its matrices in {type(model).__name__}: {error}",
                "Set tuning.targets to all-linear.",
            ) from error

    def save(self, model: Any, folder: Path) -> None:
        model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
        # The base is named in workbench.json. peft's own note and its model card hold a path of this machine.
        (folder / "README.md").unlink(missing_ok=True)
        note = folder / "adapter_config.json"
        write_json(note, {**(read_json(note) or {}), "base_model_name_or_path": None})
