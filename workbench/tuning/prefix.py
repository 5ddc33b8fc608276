"""Prefix tuning: learned keys and values before the text's, in every layer (Li and Liang 2021, arXiv 2101.00190)."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from workbench.tuning.base import tunings
from workbench.tuning.prompt_learning import PromptLearning


@tunings.register("prefix")
class Prefix(PromptLearning):
    """Prefix tuning: learned keys and values that each layer's attention sees before those of the text."""

    learning_rate = 3e-3

    class Config(PromptLearning.Config):
        network: bool = Field(
            False, description="Let a small network make them while training (the paper's way; steadier, more weights)."
        )
        width: int = Field(128, ge=1, le=8192, description="Width of the hidden layer of that network.")

    config: Config

    def problem_with(self, head: str) -> str | None:
        if head == "AutoModelForSeq2SeqLM":
            return "it is made for an encoder or a decoder, and the task needs both"
        return None

    def peft_config(self, model: Any, peft_type: str, whole: list[str]) -> Any:
        from peft import PrefixTuningConfig

        return PrefixTuningConfig(
            task_type=peft_type,
            num_virtual_tokens=self.config.tokens,
            prefix_projection=self.config.network,
            encoder_hidden_size=self.config.width,
            modules_to_save=whole or None,
        )
