"""Prompt tuning: virtual tokens before the text move, the model stays (Lester et al. 2021, arXiv 2104.08691)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from workbench.tuning.base import tunings
from workbench.tuning.prompt_learning import PromptLearning


@tunings.register("prompt")
class Prompt(PromptLearning):
    """Prompt tuning: learned vectors in front of each text, read as if they were words."""

    learning_rate = 2e-3

    class Config(PromptLearning.Config):
        begin: Literal["vocabulary", "random"] = Field(
            "vocabulary", description="What they begin as: vectors of words drawn at random, or random numbers."
        )

    config: Config

    def peft_config(self, model: Any, peft_type: str, whole: list[str]) -> Any:
        from peft import PromptTuningConfig

        return PromptTuningConfig(
            task_type=peft_type,
            num_virtual_tokens=self.config.tokens,
            prompt_tuning_init="SAMPLE_VOCAB" if self.config.begin == "vocabulary" else "RANDOM",
            modules_to_save=whole or None,
        )
