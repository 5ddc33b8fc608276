"""AdaLoRA: low-rank matrices whose ranks go where they matter most (Zhang et al. 2023, arXiv 2303.10512)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from workbench.spec import SpecModel
from workbench.tuning.adapters import AdapterTuning, is_conv1d
from workbench.tuning.base import tunings
from workbench.tuning.lora import Targets, find_targets


@tunings.register("adalora")
class AdaLora(AdapterTuning):
    """AdaLoRA: begins with more rank than it may keep, and takes it away where it matters least."""

    learning_rate = 2e-3
    no_decay = ("lora_E",)

    class Config(SpecModel):
        rank: int = Field(8, ge=1, le=1024, description="Rank that the matrices have on average in the end.")
        initial_rank: int = Field(12, ge=2, le=1536, description="Rank of each in the beginning; about 1.5 times rank.")
        alpha: int = Field(16, ge=1, le=4096, description="Scale of what they add; divided by the initial rank.")
        dropout: float = Field(0.1, ge=0, lt=1, description="Dropout before the added matrices.")
        targets: Targets = Field(
            "all-linear",
            description="Where the matrices go: attention's queries and values, or every linear map.",
        )
        start: float = Field(0.1, ge=0, lt=1, description="Share of the steps before any rank is taken away.")
        end: float = Field(0.3, ge=0, lt=1, description="Share of the steps, at the end, in which the ranks stay.")
        every: int = Field(1, ge=1, le=10_000, description="Ranks are dealt anew each time after so many steps.")
        orthogonal: float = Field(
            0.1, ge=0, le=100, description="How strongly the matrices are held orthogonal; a scale, 0 for not."
        )

        @model_validator(mode="after")
        def _fits(self) -> AdaLora.Config:
            if self.initial_rank <= self.rank:
                raise ValueError(f"initial_rank ({self.initial_rank}) must be above rank ({self.rank})")
            if self.start + self.end >= 1:
                raise ValueError(f"start ({self.start}) and end ({self.end}) together must be below 1")
            return self

    config: Config

    def peft_config(self, model: Any, peft_type: str, whole: list[str]) -> Any:
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
            total_step=1,  # set at the first step, which knows it
            orth_reg_weight=0.0,  # its gradient is added in before_step: the loss that is shown stays the task's
            target_modules=targets,
            fan_in_fan_out=is_conv1d(model, targets),
            modules_to_save=whole or None,
        )

    def apply(self, model: Any, peft_type: str, new: Collection[str] = ()) -> Any:
        from workbench.tuning.networks.rank_allocation import buffer_importance

        tuned = super().apply(model, peft_type, new)
        buffer_importance(tuned)
        return tuned

    def before_step(self, model: Any, step: int, steps: int, scale: Callable[[], float] = lambda: 1.0) -> None:
        from workbench.tuning.networks.rank_allocation import add_orthogonality, restore_ranks

        restore_ranks(model, step, steps, self._end(steps))
        add_orthogonality(model, self.config.orthogonal * scale())

    def after_step(self, model: Any, step: int, steps: int) -> None:
        from workbench.tuning.networks.rank_allocation import allocate_ranks

        allocate_ranks(model, step, steps, round(self.config.start * steps), self._end(steps))

    def _end(self, steps: int) -> int:
        return round(self.config.end * steps)

    def report(self, model: Any) -> dict[str, Any]:
        from workbench.tuning.networks.rank_allocation import ranks

        found = ranks(model)
        return {"ranks": found, "total_rank": sum(found.values())}

    def save(self, model: Any, folder: Path) -> None:
        from workbench.tuning.networks.rank_allocation import record_rank_pattern

        record_rank_pattern(model)
        super().save(model, folder)
