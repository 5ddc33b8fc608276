"""Full fine-tuning: every weight is trained."""

from __future__ import annotations

from collections.abc import Collection

from workbench.tuning.base import Tuning, tunings
from workbench.types import Model


@tunings.register("full")
class Full(Tuning):
    """Full fine-tuning: every weight of the model is trained."""

    def apply(self, model: Model, peft_type: str, newly_initialized: Collection[str] = ()) -> Model:
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        return model
