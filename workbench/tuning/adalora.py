"""AdaLoRA: low-rank matrices with higher ranks where they matter most (Zhang et al. 2023, arXiv 2303.10512)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from workbench.spec import SpecModel
from workbench.tuning.adapters import AdapterTuning, is_conv1d
from workbench.tuning.base import tunings
from workbench.tuning.lora import Targets, find_targets
from workbench.types import JsonObject, Model

if TYPE_CHECKING:
    from peft import PeftConfig


@tunings.register("adalora")
class AdaLora(AdapterTuning):
    """AdaLoRA: starts with higher ranks than it keeps, and removes ranks where they matter least."""

    learning_rate = 2e-3
    no_decay = ("lora_E",)

    class Config(SpecModel):
        """Options of AdaLoRA."""

        rank: int = Field(8, ge=1, le=1024, description="Average rank of the matrices at the end.")
        initial_rank: int = Field(12, ge=2, le=1536, description="Rank of each matrix at the start; about 1.5 x rank.")
        alpha: int = Field(16, ge=1, le=4096, description="Scale of the added matrices, divided by the initial rank.")
        dropout: float = Field(0.1, ge=0, lt=1, description="Dropout before the added matrices.")
        targets: Targets = Field(
            "all-linear",
            description="Layers that get matrices: attention's queries and values, or every linear layer.",
        )
        start: float = Field(0.1, ge=0, lt=1, description="Share of the steps before any rank is removed.")
        end: float = Field(0.3, ge=0, lt=1, description="Share of the steps, at the end, in which ranks are fixed.")
        every: int = Field(1, ge=1, le=10_000, description="Re-allocate ranks every N steps.")
        orthogonal: float = Field(
            0.1, ge=0, le=100, description="Weight of the penalty that keeps the matrices orthogonal; 0 for none."
        )

        @model_validator(mode="after")
        def _check_budget(self) -> AdaLora.Config:
            if self.initial_rank <= self.rank:
                raise ValueError(f"initial_rank ({self.initial_rank}) must be above rank ({self.rank})")
            if self.start + self.end >= 1:
                raise ValueError(f"start ({self.start}) and end ({self.end}) together must be below 1")
            return self

    config: Config

    def peft_config(self, model: Model, peft_type: str, modules_to_save: list[str]) -> PeftConfig:
        from peft import AdaLoraConfig

        options = self.config
        targets = find_targets(model, options.targets, "AdaLoRA")
        return AdaLoraConfig(
            task_type=peft_type,
            init_r=options.initial_rank,
            target_r=options.rank,
            lora_alpha=options.alpha,
            lora_dropout=options.dropout,
            deltaT=options.every,
            total_step=1,  # set at the first step, when it is known
            orth_reg_weight=0.0,  # before_step adds its gradient, so that the logged loss is the task's alone
            target_modules=targets,
            fan_in_fan_out=is_conv1d(model, targets),
            modules_to_save=modules_to_save or None,
        )

    def apply(self, model: Model, peft_type: str, newly_initialized: Collection[str] = ()) -> Model:
        from workbench.tuning.networks.rank_allocation import buffer_importance

        tuned = super().apply(model, peft_type, newly_initialized)
        buffer_importance(tuned)
        return tuned

    def before_step(self, model: Model, step: int, steps: int, scale: Callable[[], float] = lambda: 1.0) -> None:
        from workbench.tuning.networks.rank_allocation import add_orthogonality, restore_ranks

        restore_ranks(model, step, steps, self._end(steps))
        add_orthogonality(model, self.config.orthogonal * scale())

    def after_step(self, model: Model, step: int, steps: int) -> None:
        from workbench.tuning.networks.rank_allocation import allocate_ranks

        allocate_ranks(model, step, steps, round(self.config.start * steps), self._end(steps))

    def _end(self, steps: int) -> int:
        return round(self.config.end * steps)

    def report(self, model: Model) -> JsonObject:
        from workbench.tuning.networks.rank_allocation import current_ranks

        ranks = current_ranks(model)
        return {"ranks": {**ranks}, "total_rank": sum(ranks.values())}

    def save(self, model: Model, folder: Path) -> None:
        from workbench.tuning.networks.rank_allocation import record_rank_pattern

        record_rank_pattern(model)
        super().save(model, folder)
