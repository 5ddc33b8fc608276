"""Activation patching: what inside a model carries the difference between two texts.

The model reads the second text, but at one place (a layer's state at a token, or the output of one head) it is given
what it computed for the first. How far its answer moves from the second's towards the first's tells how much of the
difference passes through that place (Vig et al. 2020, "Causal Mediation Analysis"; Meng et al. 2022, section 2; Wang et
al. 2022, "Interpretability in the Wild", section 3).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import RequestError, SpecError
from workbench.explain.heads import head_outputs, heads_of
from workbench.explain.instance import BATCH, Instance, Predictor, evaluating
from workbench.explain.targets import Place, resolve_target
from workbench.tasks.base import Target
from workbench.tuning.structure import ModelStructure

if TYPE_CHECKING:
    from workbench.explain.render.figure import Figure

LEAST = 0.001  # of a probability: two answers closer than this have no difference to be carried
READING = (
    "The model reads the second text, and at one place it is given what it computed for the first. 1 means that this "
    "alone brings back the first text's answer, 0 that it changes nothing; it can go beyond both. Places that do the "
    "same work each seem to matter less than they do."
)


@dataclass(frozen=True)
class Patching:
    """What carries the difference between two texts.

    Attributes:
        target: whose probability is looked at.
        first, second: its probability in the two texts.
        tokens: of the tokens that the texts share or have in each other's place, as people read them.
        positions: [layers + 1][tokens], how much of the difference one state brings back; row 0 are the embeddings.
        heads: [layers][heads], the same of each head's output at all these tokens; empty where heads cannot be patched.
        sentences: what follows, in words.
        reading: what the numbers mean.
    """

    target: str
    first: float
    second: float
    tokens: list[str]
    positions: list[list[float]]
    heads: list[list[float]]
    sentences: list[str]
    reading: str = READING

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)

    def figures(self) -> list[Figure]:
        """Maps over layers and tokens, and over layers and heads."""
        from workbench.explain.render.maps import head_map
        from workbench.explain.render.positions import position_map

        found = [position_map(self.positions, self.tokens, "State of a layer at a token", "of the difference")]
        if self.heads:
            found.append(head_map(self.heads, "Output of a head", "of the difference", signed=True))
        return found

    def _repr_html_(self) -> str:
        from workbench.explain.render.report import notebook

        return notebook([*self.sentences, self.reading], self.figures())


def patch(
    predictor: Predictor,
    first: str,
    second: str,
    text_pair: str | None = None,
    target: str | None = None,
    place: Place = None,
) -> Patching:
    """Which layers, tokens and heads carry the difference between the answers to two texts.

    Args:
        predictor: a loaded run.
        first, second: two texts; a word changed, at best. Tokens are aligned: see
            :func:`workbench.explain.attention_difference.aligned`.
        text_pair: the second text of a pair, the same for both.
        target, place: whose probability is looked at; by default the first text's answer.

    Raises:
        RequestError: the answers do not differ, the texts share no token, or the model's layers cannot be told apart.
    """
    source, instance = Instance(predictor, first, text_pair), Instance(predictor, second, text_pair)
    spec = resolve_target(source, target, place)
    there = resolve_target(instance, spec.label, place).target
    high, low = (_probability(one, goal) for one, goal in ((source, spec.target), (instance, there)))
    if abs(high - low) < LEAST:
        raise RequestError(
            f"Both texts give {spec.label!r} about the same probability ({high:.3f} and {low:.3f}).",
            "Give two texts whose answers differ, so that there is a difference to be carried.",
        )
    pairs = _shared(source, instance)
    states = _patched_states(source, instance, there, pairs)
    found_heads = _patched_heads(source, instance, there, pairs)
    positions = (states - low) / (high - low)
    heads = None if found_heads is None else (found_heads - low) / (high - low)
    names = [_name(source.encoded.shown[a], instance.encoded.shown[b]) for a, b in pairs]
    return Patching(
        spec.label,
        high,
        low,
        names,
        positions.tolist(),
        [] if heads is None else heads.tolist(),
        _sentences(spec.label, high, low, positions, heads, names),
    )


def _probability(instance: Instance, target: Target) -> float:
    return float(instance.masked_probabilities(np.ones((1, len(instance.encoded.tokens)), dtype=bool), target)[0])


def _shared(source: Instance, instance: Instance) -> list[tuple[int, int]]:
    """Places in the two texts that hold the same token, or one in the other's stead."""
    from workbench.explain.attention_difference import aligned_tokens

    pairs = [(a, b) for a, b in aligned_tokens(source.encoded.tokens, instance.encoded.tokens)]
    found = [(a, b) for a, b in pairs if a is not None and b is not None]
    if not any(not source.encoded.special[a] for a, _ in found):
        raise RequestError("The two texts share no token.", "Give two texts of which most words are the same.")
    return found


def _name(first: str, second: str) -> str:
    return first if first == second else f"{first} → {second}"


# -- states of the layers --------------------------------------------------------------------------------------------


def _patched_states(
    source: Instance, instance: Instance, target: Target, pairs: list[tuple[int, int]]
) -> NDArray[np.float64]:
    """[layers + 1, pairs]: the target's probability with one state of the first text put into the second."""
    layers = layers_of(instance.model)
    states = states_of(source, layers)
    rows = []
    for number, state in enumerate(states):
        probabilities = []
        for start in range(0, len(pairs), BATCH):
            part = pairs[start : start + BATCH]

            def change(hidden: torch.Tensor, part: Any = part, state: torch.Tensor = state) -> torch.Tensor:
                changed = hidden.clone()
                for row, (theirs, mine) in enumerate(part):
                    changed[row, mine] = state[0, theirs]
                return changed

            probabilities.append(asked_with(instance, target, len(part), output_changed(layers, number, change)))
        rows.append(np.concatenate(probabilities))
    return np.stack(rows)


def layers_of(model: Any) -> Any:
    """The list of the model's layers. Raises RequestError where there is none."""
    inside = model.get_base_model() if hasattr(model, "get_base_model") else model
    try:
        return ModelStructure.of(inside).layers
    except SpecError as error:
        raise RequestError(f"{type(inside).__name__} has no list of layers.", "Choose a Transformer.") from error


def states_of(source: Instance, layers: Any) -> list[torch.Tensor]:
    """[1, T, D] before the first layer and after each."""
    from workbench.explain.lens import layer_states

    with evaluating(source.model), torch.no_grad(), layer_states(layers) as states:
        source.model(**source.encoded.inputs)
    return states


@contextlib.contextmanager
def output_changed(layers: Any, number: int, change: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Within, what goes into the first layer (number 0) or comes out of layer ``number`` goes through ``change``."""
    me = threading.get_ident()

    def before(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if threading.get_ident() != me:
            return None
        if args:
            return (change(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": change(kwargs["hidden_states"])}

    def after(_module: Any, _args: Any, output: Any) -> Any:
        if threading.get_ident() != me:
            return output
        return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)

    if number == 0:
        handle = layers[0].register_forward_pre_hook(before, with_kwargs=True)
    else:
        handle = layers[number - 1].register_forward_hook(after)
    try:
        yield
    finally:
        handle.remove()


def asked_with(
    instance: Instance, target: Target, count: int, within: contextlib.AbstractContextManager[Any]
) -> NDArray[np.float64]:
    """[count]: the probability in ``count`` rows of the same text, each changed in its own way."""
    inputs = {name: value.expand(count, -1) for name, value in instance.encoded.inputs.items()}
    with evaluating(instance.model), torch.no_grad(), within:
        found: NDArray[np.float64] = instance.explained(inputs, target).probability.double().cpu().numpy()
    return found


# -- outputs of the heads --------------------------------------------------------------------------------------------


def _patched_heads(
    source: Instance, instance: Instance, target: Target, pairs: list[tuple[int, int]]
) -> NDArray[np.float64] | None:
    """[layers, heads]: the same with the output of one head, at all tokens of ``pairs``; None where none can be had."""
    try:
        modules, heads = heads_of(instance)
    except RequestError:
        return None
    theirs, mine = [a for a, _ in pairs], [b for _, b in pairs]
    kept: list[torch.Tensor] = []  # of each layer, [T, H, K]

    def keep(_layer: int, output: torch.Tensor) -> torch.Tensor:
        kept.append(output[0].detach())
        return output

    with evaluating(source.model), torch.no_grad(), head_outputs(source.model, modules, keep):
        source.model(**source.encoded.inputs)
    rows = []
    for number in range(len(modules)):

        def change(layer: int, output: torch.Tensor, number: int = number) -> torch.Tensor:
            if layer != number:
                return output
            changed = output.clone()
            for head in range(heads):  # row i of the batch has the i-th head from the first text
                changed[head, mine, head] = kept[number][theirs, head]
            return changed

        rows.append(asked_with(instance, target, heads, head_outputs(instance.model, modules, change)))
    return np.stack(rows)


# -- in words --------------------------------------------------------------------------------------------------------


def _sentences(
    label: str,
    high: float,
    low: float,
    positions: NDArray[np.float64],
    heads: NDArray[np.float64] | None,
    names: list[str],
) -> list[str]:
    told = [f"{label!r} has {high:.2f} in the first text and {low:.2f} in the second."]
    inner = positions[1:-1] if len(positions) > 2 else positions
    row, column = np.unravel_index(int(np.abs(inner).argmax()), inner.shape)
    number = int(row) + (1 if len(positions) > 2 else 0)
    told.append(
        f"Between the layers, most of the difference passes through {names[column]!r} after layer {number}: that state "
        f"alone brings back {inner[row, column]:.0%} of it."
    )
    if heads is not None:
        layer, head = np.unravel_index(int(np.abs(heads).argmax()), heads.shape)
        told.append(f"Of single heads, head {head} of layer {layer} brings back most: {heads[layer, head]:.0%}.")
    return told
