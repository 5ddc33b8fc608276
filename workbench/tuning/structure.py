"""Where a model's parts are: embeddings, layers, and what comes after them, for any transformers architecture.

The layers are the longest list of like modules inside the model's body, as long as its config says; an encoder-decoder
has two such lists. What is registered before them (word and position embeddings) counts as embeddings; what comes after
(final norm, pooler) does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import SpecError

if TYPE_CHECKING:
    import torch

LINEAR = ("Linear", "Conv1D")  # GPT-2's Conv1D is a linear map whose weight is stored the other way round


@dataclass(frozen=True)
class ModelStructure:
    """The parts of a model.

    Attributes:
        model: the whole, head included.
        layers: the list of Transformer layers inside it (a ModuleList); of an encoder-decoder, the encoder's.
        embeddings: parameters of the body that come before the layers or are used by each (embeddings, positions).
        post_layers: parameters of the body after the layers (final norm, pooler).
        head: parameters outside the body.
        decoder_layers: an encoder-decoder's second list of layers; None elsewhere.
    """

    model: Any
    layers: Any
    embeddings: list[torch.nn.Parameter]
    post_layers: list[torch.nn.Parameter]
    head: list[torch.nn.Parameter]
    decoder_layers: Any = None

    @classmethod
    def of(cls, model: Any) -> ModelStructure:
        """The parts of ``model``. Raises SpecError when no list of layers can be found."""
        body = model.base_model
        stacks = _find_stacks(body)
        before, after = _beside(body, stacks)
        in_body = {id(p) for p in body.parameters()}
        head = [p for p in model.parameters() if id(p) not in in_body]
        return cls(model, stacks[0], before, after, head, stacks[1] if len(stacks) > 1 else None)

    @property
    def all_layers(self) -> list[Any]:
        """All layers, in the order in which a text meets them."""
        return [*self.layers, *(self.decoder_layers or ())]

    def named_layer_modules(self) -> Iterator[tuple[str, Any]]:
        """Every module inside the layers, with its name in the whole model."""
        inside = {id(module) for layer in self.all_layers for module in layer.modules()}
        return ((name, module) for name, module in self.model.named_modules() if id(module) in inside)

    def linear_modules(self) -> list[str]:
        """The names of the linear maps in the layers."""
        return [name for name, module in self.named_layer_modules() if type(module).__name__ in LINEAR]

    def output_projections(self) -> tuple[list[str], list[str]]:
        """The linear maps that write to the sum of each layer: those that end attention, and the feed-forward network.

        Found by structure: in the order of registration, the last linear map of each part whose name tells of
        attention, and the last one of all others.

        Returns:
            names of the maps that end attention (cross attention, too), and of those that end the feed-forward network.
        """
        names = {id(module): name for name, module in self.model.named_modules()}
        attention: list[str] = []
        feed_forward: list[str] = []
        for layer in self.all_layers:
            last: dict[str, str] = {}
            for name, module in layer.named_modules():
                if type(module).__name__ in LINEAR:
                    last[_attention_part(name)] = names[id(module)]
            attention += [name for part, name in last.items() if part]
            feed_forward += [last[""]] if "" in last else []
        return attention, feed_forward

    def freeze_embeddings(self) -> None:
        """Word embeddings, positions and what else comes before the first layer no longer move."""
        _freeze(self.embeddings)

    def freeze_layers(self, count: int) -> None:
        """The first ``count`` layers no longer move."""
        for layer in self.all_layers[:count]:
            _freeze(layer.parameters())

    def freeze_post_layers(self) -> None:
        """What lies between the last layer and the head no longer moves."""
        _freeze(self.post_layers)

    def frozen_prefix(self) -> int:
        """How many layers, from the input on, put out the same for the same text throughout the run.

        0 when the embeddings move: everything after them then changes.
        """
        if any(p.requires_grad for p in self.embeddings):
            return 0
        count = 0
        for layer in self.layers:
            if any(p.requires_grad for p in layer.parameters()):
                break
            count += 1
        return count


def _find_stacks(body: Any) -> list[Any]:
    """The lists of layers, in their order. Raises SpecError when there is none."""
    from torch.nn import ModuleList

    config = body.config
    numbers = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
    expected = {getattr(config, name, None) for name in numbers}
    both = bool(getattr(config, "is_encoder_decoder", False))
    if both:
        expected |= {getattr(config, name, None) for name in ("encoder_layers", "decoder_layers", "num_decoder_layers")}
    found: list[Any] = []
    inside: set[int] = set()
    for module in body.modules():
        alike = isinstance(module, ModuleList) and len(module) in expected and len({type(m) for m in module}) == 1
        if alike and id(module) not in inside:
            found.append(module)
            inside |= {id(part) for part in module.modules()}
    if not found:
        raise SpecError(
            f"No list of layers was found in {type(body).__name__}.",
            "Use `tuning: full` with this model.",
        )
    return found[:2] if both else found[:1]


def _beside(body: Any, stacks: list[Any]) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """The body's parameters that come before layers (or are used by each), and those that come after them."""
    shared = {place for stack in stacks for place in _shared_by_layers(body, stack)}
    in_stack = {id(p): number for number, stack in enumerate(stacks) for p in stack.parameters()}
    owner = {id(p): number for number, stack in enumerate(stacks) for p in _owner(body, stack).parameters()}
    before: list[torch.nn.Parameter] = []
    after: list[torch.nn.Parameter] = []
    seen: set[int] = set()
    for parameter in body.parameters():  # in the order of registration, which is the order of use
        if id(parameter) in in_stack:
            seen.add(in_stack[id(parameter)])
            continue
        awaited = {owner[id(parameter)]} if id(parameter) in owner and len(stacks) > 1 else set(range(len(stacks)))
        (after if awaited <= seen and id(parameter) not in shared else before).append(parameter)
    return before, after


def _owner(body: Any, layers: Any) -> Any:
    """The module that the list of layers is a part of."""
    return next((module for module in body.modules() if any(child is layers for child in module.children())), body)


def _shared_by_layers(body: Any, layers: Any) -> set[int]:
    """Parameters beside the layers that each layer uses (relative positions): all there but a final norm."""
    owner = _owner(body, layers)
    if owner is body:
        return set()
    beside = [m for m in owner.children() if m is not layers and "norm" not in type(m).__name__.lower()]
    return {id(parameter) for module in beside for parameter in module.parameters()}


def _attention_part(name: str) -> str:
    """The part of a layer that a module belongs to: ``"attention"`` of ``"attention.output.dense"``; "" for no such."""
    parts = name.split(".")
    for place, part in enumerate(parts):
        if "att" in part.lower():
            return ".".join(parts[: place + 1])
    return ""


def _freeze(parameters: Any) -> None:
    for parameter in parameters:
        parameter.requires_grad_(False)
