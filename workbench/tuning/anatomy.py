"""Where a model's parts are: embeddings, layers, and what comes after them, for any transformers architecture.

The layers are the longest list of like modules inside the model's body, as long as its config says. What is registered
before them (word and position embeddings) counts as embeddings; what comes after (final norm, pooler) does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import SpecError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Anatomy:
    """The parts of a model.

    Attributes:
        model: the whole, head included.
        layers: the list of Transformer layers inside it (a ModuleList).
        before: parameters of the body that come before the layers or are used by each (embeddings, positions).
        after: parameters of the body after the layers (final norm, pooler).
        head: parameters outside the body.
    """

    model: Any
    layers: Any
    before: list[torch.nn.Parameter]
    after: list[torch.nn.Parameter]
    head: list[torch.nn.Parameter]

    @classmethod
    def of(cls, model: Any) -> Anatomy:
        """The parts of ``model``. Raises SpecError when no list of layers can be found."""
        body = model.base_model
        layers = _find_layers(body)
        in_layers = {id(p) for p in layers.parameters()}
        in_body = {id(p) for p in body.parameters()}
        before: list[torch.nn.Parameter] = []
        after: list[torch.nn.Parameter] = []
        shared = _shared_by_layers(body, layers)
        seen_layers = False
        for parameter in body.parameters():  # in the order of registration, which is the order of use
            if id(parameter) in in_layers:
                seen_layers = True
            else:
                (after if seen_layers and id(parameter) not in shared else before).append(parameter)
        head = [p for p in model.parameters() if id(p) not in in_body]
        return cls(model, layers, before, after, head)

    def freeze_embeddings(self) -> None:
        """Word embeddings, positions and what else comes before the first layer no longer move."""
        _freeze(self.before)

    def freeze_layers(self, count: int) -> None:
        """The first ``count`` layers no longer move."""
        for layer in list(self.layers)[:count]:
            _freeze(layer.parameters())

    def freeze_after_layers(self) -> None:
        """What lies between the last layer and the head no longer moves."""
        _freeze(self.after)

    def frozen_prefix(self) -> int:
        """How many layers, from the input on, put out the same for the same text throughout the run.

        0 when the embeddings move: everything after them then changes.
        """
        if any(p.requires_grad for p in self.before):
            return 0
        count = 0
        for layer in self.layers:
            if any(p.requires_grad for p in layer.parameters()):
                break
            count += 1
        return count


def _find_layers(body: Any) -> Any:
    from torch.nn import ModuleList

    config = body.config
    expected = {getattr(config, name, None) for name in ("num_hidden_layers", "n_layer", "num_layers", "n_layers")}
    for module in body.modules():
        if isinstance(module, ModuleList) and len(module) in expected and len({type(m) for m in module}) == 1:
            return module
    raise SpecError(
        f"No list of layers was found in {type(body).__name__}.",
        "Use `tuning: full` with this model.",
    )


def _shared_by_layers(body: Any, layers: Any) -> set[int]:
    """Parameters beside the layers that each layer uses (relative positions): all there but a final norm."""
    owner = next((module for module in body.modules() if any(child is layers for child in module.children())), body)
    if owner is body:
        return set()
    beside = [m for m in owner.children() if m is not layers and "norm" not in type(m).__name__.lower()]
    return {id(parameter) for module in beside for parameter in module.parameters()}


def _freeze(parameters: Any) -> None:
    for parameter in parameters:
        parameter.requires_grad_(False)
