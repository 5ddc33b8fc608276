"""Frozen lower layers, gradual unfreezing, and layer-wise decay of the learning rate."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from pydantic import Field

from workbench.errors import SpecError
from workbench.spec import SpecModel
from workbench.tuning.base import Tuning, tunings
from workbench.tuning.structure import ModelStructure
from workbench.types import Model

if TYPE_CHECKING:
    from torch.nn import Parameter


@tunings.register("freeze")
class Freeze(Tuning):
    """Frozen lower layers: only the upper layers and the head are trained."""

    needs_layers = True

    class Config(SpecModel):
        """Options of freezing."""

        layers: int = Field(3, ge=0, le=1000, description="Number of frozen layers, counted from the input.")
        embeddings: bool = Field(True, description="Freeze the embeddings as well.")
        gradual: float = Field(
            0.0,
            ge=0,
            le=1,
            description="Share of the steps over which the trained layers are unfrozen one by one, the last layer "
            "first; 0 for all at once.",
        )
        rate_decay: float = Field(
            1.0,
            gt=0,
            le=1,
            description="Factor of the learning rate from each layer to the one below it (layer-wise decay); 1 for "
            "the same rate everywhere.",
        )

    config: Config

    def num_frozen_layers(self) -> int:
        return self.config.layers

    def apply(self, model: Model, peft_type: str, newly_initialized: Collection[str] = ()) -> Model:
        structure = ModelStructure.of(model)
        count = len(structure.all_layers)
        if self.config.layers > count:
            raise SpecError(
                f"tuning.layers is {self.config.layers}, but the model has {count} layers.",
                f"Choose 0 to {count}. To freeze all layers, use `tuning: head`.",
            )
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        if self.config.embeddings:
            structure.freeze_embeddings()
        structure.freeze_layers(self.config.layers)
        return model

    def lr_multipliers(self, model: Model) -> dict[str, float]:
        """Layer-wise decay (Howard and Ruder 2018, arXiv 1801.06146, section 3.2; Clark et al. 2020, ELECTRA).

        The head has the full learning rate, the last layer ``rate_decay`` times that, the one below the square, and so
        on.

        Args:
            model: as ``apply`` returned it.
        """
        if self.config.rate_decay == 1:
            return {}
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        return {
            names[id(parameter)]: self.config.rate_decay**depth
            for depth, group in enumerate(_groups(model), start=1)
            for parameter in group
            if parameter.requires_grad
        }

    def before_step(self, model: Model, step: int, steps: int, scale: Callable[[], float] = lambda: 1.0) -> None:
        """Gradual unfreezing (Howard and Ruder 2018, section 3.3): groups that are still frozen lose their gradient.

        Args:
            model: as ``apply`` returned it.
            step: number of this step, from 1.
            steps: number of steps in the run.
            scale: unused.
        """
        if self.config.gradual == 0:
            return
        groups = [group for group in _groups(model) if any(p.requires_grad for p in group)]
        # First the head alone, then one group more in each further interval.
        unfrozen = int((step - 1) / (self.config.gradual * steps) * (len(groups) + 1))
        for group in groups[unfrozen:]:
            for parameter in group:
                parameter.grad = None


def _groups(model: Model) -> list[list[Parameter]]:
    """Parameters that are unfrozen or slowed down together: each layer, the last one first, then the embeddings."""
    structure = ModelStructure.of(model)
    layers = [list(layer.parameters()) for layer in reversed(structure.all_layers)]
    return [*layers, structure.embeddings]
