"""Head only: the pretrained body stays as it is, what sits on top of it is trained."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import Field

from workbench.spec import Part
from workbench.tuning.anatomy import Anatomy
from workbench.tuning.base import Tuning, tunings


@tunings.register("head")
class Head(Tuning):
    """Head only: the body is frozen, its features are computed once; fastest, and a good first look."""

    learning_rate = 1e-3

    class Config(Part):
        pooler: bool = Field(
            True,
            description="Also train what sums a text up for the head (BERT's pooler), where there is one.",
        )

    config: Config

    def apply(self, model: Any, peft_type: str, new: Collection[str] = ()) -> Any:
        anatomy = Anatomy.of(model)
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        anatomy.freeze_embeddings()
        anatomy.freeze_layers(len(anatomy.layers))
        if not self.config.pooler:
            anatomy.freeze_after_layers()
        return model
