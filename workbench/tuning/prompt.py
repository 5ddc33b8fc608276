"""Prompt tuning: trained virtual tokens before the text, and a frozen model (Lester et al. 2021, arXiv 2104.08691)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workbench.tuning.base import tunings
from workbench.tuning.prompt_learning import PromptLearning
from workbench.types import Model

if TYPE_CHECKING:
    from peft import PeftConfig


@tunings.register("prompt")
class Prompt(PromptLearning):
    """Prompt tuning: learned vectors before each text, read as if they were words."""

    learning_rate = 2e-3

    class Config(PromptLearning.Config):
        """Options of prompt tuning."""

        begin: Literal["vocabulary", "random"] = Field(
            "vocabulary", description="Initial values: the embeddings of randomly chosen words, or random numbers."
        )

    config: Config

    def peft_config(self, model: Model, peft_type: str, modules_to_save: list[str]) -> PeftConfig:
        from peft import PromptTuningConfig

        return PromptTuningConfig(
            task_type=peft_type,
            num_virtual_tokens=self.config.tokens,
            prompt_tuning_init="SAMPLE_VOCAB" if self.config.begin == "vocabulary" else "RANDOM",
            modules_to_save=modules_to_save or None,
        )
