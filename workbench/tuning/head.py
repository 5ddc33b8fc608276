"""Head only: the pretrained body is frozen, and what is on top of it is solved or trained."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from pydantic import Field

from workbench.errors import SpecError
from workbench.spec import SpecModel
from workbench.tuning.base import Tuning, tunings
from workbench.tuning.structure import ModelStructure
from workbench.types import JsonObject, Model

STRENGTHS = (0.1, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)


@tunings.register("head")
class Head(Tuning):
    """Head only: the body is frozen and its features are computed once; a linear head is solved in seconds."""

    learning_rate = 5e-4
    needs_layers = True

    class Config(SpecModel):
        """Options of head tuning."""

        solver: Literal["auto", "gradient"] = Field(
            "auto",
            description="auto solves a linear classifier or regression exactly (logistic regression by L-BFGS, ridge "
            "regression), and trains other heads step by step; gradient always trains step by step.",
        )
        C: float | None = Field(
            None,
            gt=0,
            description="Solved heads: inverse strength of the L2 regularization. Empty: several from 0.1 to 1000 are "
            "tried, and the validation split chooses; without one, 5-fold cross-validation.",
        )
        refit: bool = Field(
            True,
            description="Solved heads: if there is a test split, solve once more with the validation examples as well, "
            "after they have chosen C.",
        )
        pooler: bool = Field(
            True,
            description="Heads trained step by step: also train the layer that summarizes a text for the head (BERT's "
            "pooler), if there is one.",
        )

    config: Config

    def __init__(self, config: SpecModel | None = None) -> None:
        super().__init__(config)
        self.solution: JsonObject = {}  # of a solved head, for the report

    @property
    def strengths(self) -> tuple[float, ...]:
        """The values of C to try."""
        return STRENGTHS if self.config.C is None else (self.config.C,)

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

    def report(self, model: Model) -> JsonObject:
        return self.solution


def linear_head(model: Model, newly_initialized: Collection[str]) -> str | None:
    """Return the name of a model's head if it is one linear layer on a body that was loaded; otherwise None.

    Args:
        model: without an adapter.
        newly_initialized: names of its weights that were not loaded.
    """
    from torch.nn import Linear

    in_body = {id(parameter) for parameter in model.base_model.parameters()}
    outside = [name for name, parameter in model.named_parameters() if id(parameter) not in in_body]
    modules = {name.rpartition(".")[0] for name in outside}
    if len(modules) != 1 or not set(newly_initialized) <= set(outside):
        return None
    (name,) = modules
    return name if isinstance(model.get_submodule(name), Linear) else None
