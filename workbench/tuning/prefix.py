"""Prefix tuning: learned keys and values before the text's, in every layer (Li and Liang 2021, arXiv 2101.00190)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from workbench.tuning.base import tunings
from workbench.tuning.prompt_learning import PromptLearning
from workbench.types import Model

if TYPE_CHECKING:
    from peft import PeftConfig


@tunings.register("prefix")
class Prefix(PromptLearning):
    """Prefix tuning: learned keys and values that each layer's attention sees before those of the text."""

    learning_rate = 3e-3

    class Config(PromptLearning.Config):
        """Options of prefix tuning."""

        network: bool = Field(
            False,
            description="Compute them with a small network during training (as in the paper): more stable, but more "
            "weights.",
        )
        width: int = Field(128, ge=1, le=8192, description="Width of the hidden layer of that network.")

    config: Config

    def problem_with(self, head: str) -> str | None:
        if head == "AutoModelForSeq2SeqLM":
            return "it works with an encoder or a decoder, but the task needs both"
        return None

    def peft_config(self, model: Model, peft_type: str, modules_to_save: list[str]) -> PeftConfig:
        from peft import PrefixTuningConfig

        return PrefixTuningConfig(
            task_type=peft_type,
            num_virtual_tokens=self.config.tokens,
            prefix_projection=self.config.network,
            encoder_hidden_size=self.config.width,
            modules_to_save=modules_to_save or None,
        )
