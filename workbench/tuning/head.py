"""Head only: the pretrained body stays as it is, what sits on top of it is trained."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import Field

from workbench.errors import SpecError
from workbench.spec import SpecModel
from workbench.tuning.base import Tuning, tunings
from workbench.tuning.structure import ModelStructure


@tunings.register("head")
class Head(Tuning):
    """Head only: the body is frozen, its features are computed once; fastest, and a good first look."""

    learning_rate = 5e-4

    class Config(SpecModel):
        pooler: bool = Field(
            True,
            description="Also train what sums a text up for the head (BERT's pooler), where there is one.",
        )

    config: Config

    def problem_with(self, head: str) -> str | None:
        if head == "AutoModel":
            return "the task uses the model without a head, and there is nothing else to train"
        if head == "AutoModelForSeq2SeqLM":
            return "the head of a model that reads and writes is its embeddings, which stay as they are"
        return None

    def apply(self, model: Any, peft_type: str, new: Collection[str] = ()) -> Any:
        structure = ModelStructure.of(model)
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        structure.freeze_embeddings()
        structure.freeze_layers(len(structure.all_layers))
        if not self.config.pooler:
            structure.freeze_post_layers()
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise SpecError(
                f"{type(model).__name__} has no weights on top of its body: its head shares the embeddings' weights.",
                "Use `tuning: full` or `tuning: lora` with this model.",
            )
        return model
