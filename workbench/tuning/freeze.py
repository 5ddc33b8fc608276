"""Freeze the first layers, thaw layers one after another, let lower layers move more slowly."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from pydantic import Field

from workbench.errors import SpecError
from workbench.spec import SpecModel
from workbench.tuning.base import Tuning, tunings
from workbench.tuning.structure import ModelStructure


@tunings.register("freeze")
class Freeze(Tuning):
    """Freeze the first layers: only the upper layers and the head move."""

    class Config(SpecModel):
        layers: int = Field(3, ge=0, le=1000, description="How many layers stay frozen, counted from the input.")
        embeddings: bool = Field(True, description="Freeze the embeddings as well.")
        gradual: float = Field(
            0.0,
            ge=0,
            le=1,
            description="Share of the steps over which the layers that move are thawed one after another, the last "
            "layer first; 0 for all at once.",
        )
        rate_decay: float = Field(
            1.0,
            gt=0,
            le=1,
            description="What the learning rate is multiplied by from each layer to the one below it; a scale, 1 for "
            "the same rate in all.",
        )

    config: Config

    def apply(self, model: Any, peft_type: str, new: Collection[str] = ()) -> Any:
        structure = ModelStructure.of(model)
        count = len(structure.all_layers)
        if self.config.layers > count:
            raise SpecError(
                f"tuning.layers is {self.config.layers}, and the model has {count} layers.",
                f"Choose 0 to {count}; to freeze all of them, `tuning: head` says it more plainly.",
            )
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        if self.config.embeddings:
            structure.freeze_embeddings()
        structure.freeze_layers(self.config.layers)
        return model

    def lr_multipliers(self, model: Any) -> dict[str, float]:
        """Layer-wise decay (Howard and Ruder 2018, arXiv 1801.06146, section 3.2; Clark et al. 2020, ELECTRA).

        The head has the full rate, the last layer ``rate_decay`` of it, the one below the square of that, and so on.
        """
        if self.config.rate_decay == 1:
            return {}
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        return {
            names[id(parameter)]: self.config.rate_decay**depth
            for depth, unit in enumerate(_units(model), start=1)
            for parameter in unit
            if parameter.requires_grad
        }

    def before_step(self, model: Any, step: int, steps: int, scale: Callable[[], float] = lambda: 1.0) -> None:
        """Gradual unfreezing (Howard and Ruder 2018, section 3.3): what is not thawed yet loses its gradient."""
        if self.config.gradual == 0:
            return
        units = [unit for unit in _units(model) if any(p.requires_grad for p in unit)]
        # At first the head alone, then with each further part of the time one unit more.
        thawed = int((step - 1) / (self.config.gradual * steps) * (len(units) + 1))
        for unit in units[thawed:]:
            for parameter in unit:
                parameter.grad = None


def _units(model: Any) -> list[list[Any]]:
    """What is thawed, or slowed down, together: each layer, the last one first, and then the embeddings."""
    structure = ModelStructure.of(model)
    layers = [list(layer.parameters()) for layer in reversed(structure.all_layers)]
    return [*layers, structure.embeddings]
