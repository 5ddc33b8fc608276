"""P-tuning: virtual tokens computed by a small trained network (Liu et al. 2021, arXiv 2103.10385)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workbench.tuning.base import tunings
from workbench.tuning.prompt_learning import PromptLearning
from workbench.types import Model

if TYPE_CHECKING:
    from peft import PeftConfig


@tunings.register("p-tuning")
class PTuning(PromptLearning):
    """P-tuning: virtual tokens before each text, computed by a small network; only its output is saved."""

    learning_rate = 3e-3

    class Config(PromptLearning.Config):
        """Options of p-tuning."""

        network: Literal["mlp", "lstm"] = Field(
            "mlp", description="The network: two hidden layers, or an LSTM over the tokens (as in the paper)."
        )
        width: int = Field(128, ge=1, le=8192, description="Width of the hidden layers of that network.")

    config: Config

    def peft_config(self, model: Model, peft_type: str, modules_to_save: list[str]) -> PeftConfig:
        from peft import PromptEncoderConfig

        return PromptEncoderConfig(
            task_type=peft_type,
            num_virtual_tokens=self.config.tokens,
            encoder_reparameterization_type=self.config.network.upper(),
            encoder_hidden_size=self.config.width,
            modules_to_save=modules_to_save or None,
        )
