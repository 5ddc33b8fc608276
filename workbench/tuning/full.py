"""Full fine-tuning: every weight moves."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from workbench.tuning.base import Tuning, tunings


@tunings.register("full")
class Full(Tuning):
    """Full fine-tuning: every weight of the model moves."""

    def apply(self, model: Any, peft_type: str, new: Collection[str] = ()) -> Any:
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        return model
