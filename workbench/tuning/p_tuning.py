"""P-tuning: virtual tokens made by a small network, which moves (Liu et al. 2021, arXiv 2103.10385)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from workbench.tuning.base import tunings
from workbench.tuning.prompt_learning import PromptLearning


@tunings.register("p-tuning")
class PTuning(PromptLearning):
    """P-tuning: virtual tokens in front of each text that a small network makes; only what it makes is saved."""

    learning_rate = 3e-3

    class Config(PromptLearning.Config):
        network: Literal["mlp", "lstm"] = Field(
            "mlp", description="What makes them: two hidden layers, or an LSTM over them (the paper's)."
        )
        width: int = Field(128, ge=1, le=8192, description="Width of the hidden layers of that network.")

    config: Config

    def peft_config(self, model: Any, peft_type: str, whole: list[str]) -> Any:
        from peft import PromptEncoderConfig

        return PromptEncoderConfig(
            task_type=peft_type,
            num_virtual_tokens=self.config.tokens,
            encoder_reparameterization_type=self.config.network.upper(),
            encoder_hidden_size=self.config.width,
            modules_to_save=whole or None,
        )
