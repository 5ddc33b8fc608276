"""Head only: the pretrained body is frozen, and what is on top of it is trained."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import Field

from workbench.errors import SpecError
from workbench.spec import SpecModel
from workbench.tuning.base import Tuning, tunings
from workbench.tuning.structure import ModelStructure
from workbench.types import Model


@tunings.register("head")
class Head(Tuning):
    """Head only: the body is frozen and its features are computed once; the fastest method, and a good first try."""

    learning_rate = 5e-4
    needs_layers = True

    class Config(SpecModel):
        """Options of head tuning."""

        pooler: bool = Field(
            True,
            description="Also train the layer that summarizes a text for the head (BERT's pooler), if there is one.",
        )

    config: Config

    def problem_with(self, head: str) -> str | None:
        if head == "AutoModel":
            return "the task uses the model without a head, and there is nothing else to train"
        if head == "AutoModelForSeq2SeqLM":
            return "the head of an encoder-decoder shares the embeddings, which are frozen"
        return None

    def apply(self, model: Model, peft_type: str, newly_initialized: Collection[str] = ()) -> Model:
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
