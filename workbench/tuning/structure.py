"""The structure of a model: embeddings, layers, and what comes after them, for any architecture of transformers.

The layers are the longest list of identical modules in the model's body, with as many entries as its config says; an
encoder-decoder has two such lists. Parameters registered before them (token and position embeddings) count as
embeddings; parameters after them (final norm, pooler) do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import SpecError
from workbench.types import Model

if TYPE_CHECKING:
    from torch.nn import Module, ModuleList, Parameter

LINEAR = ("Linear", "Conv1D")  # GPT-2's Conv1D is a linear layer that stores the transpose of its weight


@dataclass(frozen=True)
class ModelStructure:
    """The parts of a model.

    Attributes:
        model: the whole model, including its head.
        layers: its Transformer layers; in an encoder-decoder, those of the encoder.
        embeddings: parameters of the body before the layers, or shared by all of them (embeddings, relative positions).
        post_layers: parameters of the body after the layers (final norm, pooler).
        head: parameters outside the body.
        decoder_layers: the decoder's layers in an encoder-decoder; None in other models.
    """

    model: Model
    layers: ModuleList
    embeddings: list[Parameter]
    post_layers: list[Parameter]
    head: list[Parameter]
    decoder_layers: ModuleList | None = None

    @classmethod
    def of(cls, model: Model) -> ModelStructure:
        """Analyze a model.

        Args:
            model: a transformers model or one of ours, without an adapter.

        Raises:
            SpecError: it has no list of layers.
        """
        body = model.base_model
        stacks = _find_stacks(body)
        embeddings, post_layers = _parameters_around(body, stacks)
        in_body = {id(p) for p in body.parameters()}
        head = [p for p in model.parameters() if id(p) not in in_body]
        return cls(model, stacks[0], embeddings, post_layers, head, stacks[1] if len(stacks) > 1 else None)

    @property
    def all_layers(self) -> list[Module]:
        """All layers, in the order in which a text passes through them."""
        return [*self.layers, *(self.decoder_layers or ())]

    def named_layer_modules(self) -> Iterator[tuple[str, Module]]:
        """Iterate over every module inside the layers, with its name in the whole model."""
        inside = {id(module) for layer in self.all_layers for module in layer.modules()}
        return ((name, module) for name, module in self.model.named_modules() if id(module) in inside)

    def linear_modules(self) -> list[str]:
        """Return the names of the linear layers inside the Transformer layers."""
        return [name for name, module in self.named_layer_modules() if type(module).__name__ in LINEAR]

    def output_projections(self) -> tuple[list[str], list[str]]:
        """Return the linear layers whose output is added to the residual stream.

        They are recognized by structure: in the order of registration, the last linear layer of each sublayer whose
        name mentions attention, and the last one of the rest.

        Returns:
            Names of the layers that end attention (including cross attention), and of those that end the feed-forward
            network.
        """
        names = {id(module): name for name, module in self.model.named_modules()}
        attention: list[str] = []
        feed_forward: list[str] = []
        for layer in self.all_layers:
            last: dict[str, str] = {}
            for name, module in layer.named_modules():
                if type(module).__name__ in LINEAR:
                    last[_attention_prefix(name)] = names[id(module)]
            attention += [name for prefix, name in last.items() if prefix]
            feed_forward += [last[""]] if "" in last else []
        return attention, feed_forward

    def freeze_embeddings(self) -> None:
        """Freeze token embeddings, positions and everything else before the first layer."""
        _freeze(self.embeddings)

    def freeze_layers(self, count: int) -> None:
        """Freeze the first layers.

        Args:
            count: number of layers.
        """
        for layer in self.all_layers[:count]:
            _freeze(layer.parameters())

    def freeze_post_layers(self) -> None:
        """Freeze what is between the last layer and the head."""
        _freeze(self.post_layers)

    def frozen_prefix(self) -> int:
        """Return how many layers, from the input on, compute the same for the same text throughout the run.

        The result is 0 if the embeddings are trained: then everything after them changes.
        """
        if any(p.requires_grad for p in self.embeddings):
            return 0
        count = 0
        for layer in self.layers:
            if any(p.requires_grad for p in layer.parameters()):
                break
            count += 1
        return count


def _find_stacks(body: Model) -> list[ModuleList]:
    """Return the lists of layers, in order. Raises SpecError if there is none."""
    from torch.nn import ModuleList

    config = body.config
    fields = ["num_hidden_layers", "n_layer", "num_layers", "n_layers"]
    encoder_decoder = bool(getattr(config, "is_encoder_decoder", False))
    if encoder_decoder:
        fields += ["encoder_layers", "decoder_layers", "num_decoder_layers"]
    lengths = {getattr(config, field, None) for field in fields}
    stacks: list[ModuleList] = []
    inside: set[int] = set()
    for module in body.modules():
        if not isinstance(module, ModuleList) or id(module) in inside:
            continue
        if len(module) in lengths and len({type(layer) for layer in module}) == 1:
            stacks.append(module)
            inside |= {id(child) for child in module.modules()}
    if not stacks:
        raise SpecError(
            f"No list of layers was found in {type(body).__name__}.",
            "Use `tuning: full` with this model.",
        )
    return stacks[:2] if encoder_decoder else stacks[:1]


def _parameters_around(body: Model, stacks: list[ModuleList]) -> tuple[list[Parameter], list[Parameter]]:
    """Return the body's parameters before the layers (or shared by all of them), and those after them."""
    shared = {key for stack in stacks for key in _shared_by_layers(body, stack)}
    in_stack = {id(p): number for number, stack in enumerate(stacks) for p in stack.parameters()}
    owner = {id(p): number for number, stack in enumerate(stacks) for p in _owner(body, stack).parameters()}
    before: list[Parameter] = []
    after: list[Parameter] = []
    seen: set[int] = set()
    for parameter in body.parameters():  # in the order of registration, which is the order of use
        if id(parameter) in in_stack:
            seen.add(in_stack[id(parameter)])
            continue
        preceding = {owner[id(parameter)]} if id(parameter) in owner and len(stacks) > 1 else set(range(len(stacks)))
        (after if preceding <= seen and id(parameter) not in shared else before).append(parameter)
    return before, after


def _owner(body: Model, layers: ModuleList) -> Module:
    """Return the module that holds the list of layers."""
    return next((module for module in body.modules() if any(child is layers for child in module.children())), body)


def _shared_by_layers(body: Model, layers: ModuleList) -> set[int]:
    """Parameters next to the layers that every layer uses (relative positions): all but those of a final norm."""
    owner = _owner(body, layers)
    if owner is body:
        return set()
    siblings = [m for m in owner.children() if m is not layers and "norm" not in type(m).__name__.lower()]
    return {id(parameter) for module in siblings for parameter in module.parameters()}


def _attention_prefix(name: str) -> str:
    """Return the attention sublayer of a module: ``attention`` for ``attention.output.dense``; else an empty text."""
    segments = name.split(".")
    for index, segment in enumerate(segments):
        if "att" in segment.lower():
            return ".".join(segments[: index + 1])
    return ""


def _freeze(parameters: Iterable[Parameter]) -> None:
    for parameter in parameters:
        parameter.requires_grad_(False)
