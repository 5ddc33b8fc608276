"""What prompt, p-tuning and prefix tuning have in common: virtual tokens before each text."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from typing import Any

from pydantic import Field

from workbench.spec import SpecModel
from workbench.tuning.adapters import HEADS, AdapterTuning, newly_initialized_modules, without_peft_warning


class PromptLearning(AdapterTuning):
    """Base of the tunings that put virtual tokens before each text."""

    merges = False

    class Config(SpecModel):
        """The method's own options."""

        tokens: int = Field(20, ge=1, le=1000, description="How many virtual tokens stand before each text.")

    config: Config

    @abstractmethod
    def peft_config(self, model: Any, peft_type: str, whole: list[str]) -> Any: ...

    def apply(self, model: Any, peft_type: str, new: Collection[str] = ()) -> Any:
        from workbench.tuning.networks.virtual_tokens import VirtualTokens

        whole = newly_initialized_modules(new)
        if peft_type in ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS"):
            whole += HEADS  # as peft does for its other methods
        with without_peft_warning():
            return VirtualTokens(model, self.peft_config(model, peft_type, whole))

    def num_virtual_tokens(self) -> int:
        return self.config.tokens
