"""What prompt tuning, p-tuning and prefix tuning share: virtual tokens before each text."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

from pydantic import Field

from workbench.spec import SpecModel
from workbench.tuning.adapters import HEADS, AdapterTuning, newly_initialized_modules, without_peft_warning
from workbench.types import Model


class PromptLearning(AdapterTuning):
    """Base of the fine-tuning methods that add virtual tokens before each text."""

    merges = False

    class Config(SpecModel):
        """Options of every method with virtual tokens."""

        tokens: int = Field(20, ge=1, le=1000, description="Number of virtual tokens before each text.")

    config: Config

    def apply(self, model: Model, peft_type: str, newly_initialized: Collection[str] = ()) -> Model:
        from workbench.tuning.networks.virtual_tokens import VirtualTokens

        modules = newly_initialized_modules(newly_initialized)
        if peft_type in ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS"):
            modules += HEADS  # as peft does for its other methods
        with without_peft_warning():
            return cast("Model", VirtualTokens(model, self.peft_config(model, peft_type, modules)))

    def num_virtual_tokens(self) -> int:
        return self.config.tokens
