"""Freeze the first layers: the general part of the body stays, the specific part and the head move."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import Field

from workbench.errors import SpecError
from workbench.spec import Part
from workbench.tuning.anatomy import Anatomy
from workbench.tuning.base import Tuning, tunings


@tunings.register("freeze")
class Freeze(Tuning):
    """Freeze the first layers: only the upper layers and the head move."""

    class Config(Part):
        layers: int = Field(3, ge=0, le=1000, description="How many layers stay frozen, counted from the input.")
        embeddings: bool = Field(True, description="Freeze the embeddings as well.")

    config: Config

    def apply(self, model: Any, peft_type: str, new: Collection[str] = ()) -> Any:
        anatomy = Anatomy.of(model)
        count = len(anatomy.layers)
        if self.config.layers > count:
            raise SpecError(
                f"tuning.layers is {self.config.layers}, and the model has {count} layers.",
                f"Choose 0 to {count}; to freeze all of them, `tuning: head` says it more plainly.",
            )
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        if self.config.embeddings:
            anatomy.freeze_embeddings()
        anatomy.freeze_layers(self.config.layers)
        return model
