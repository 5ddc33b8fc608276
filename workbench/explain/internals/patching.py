"""Activation patching: which parts of a model carry the difference between two texts.

The model reads the second text, but one of its activations (a layer's state at a token, or the output of one head) is
replaced by the one computed for the first text. How far its answer then moves from the second text's towards the
first's shows how much of the difference passes through that activation (Vig et al. 2020, "Causal Mediation Analysis";
Meng et al. 2022, section 2; Wang et al. 2022, "Interpretability in the Wild", section 3).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from workbench.errors import RequestError
from workbench.explain.display import HtmlDisplay
from workbench.explain.hooks import evaluating, intercept_layer, layers_of, record_states
from workbench.explain.instance import BATCH, Instance
from workbench.explain.internals.alignment import align_tokens, joint_name
from workbench.explain.internals.heads import heads_of, intercept_heads
from workbench.explain.predictor import Predictor
from workbench.explain.targets import WordRef, resolve_target
from workbench.i18n import _
from workbench.tasks.base import Target
from workbench.types import Floats, JsonObject

SMALLEST_DIFFERENCE = 0.001  # between two probabilities: below it there is no difference to locate
READING = (
    "The model reads the second text with one activation from the first. 1: this alone restores the first text's "
    "answer; 0: it changes nothing; values beyond both are possible. Activations that do the same work each seem less "
    "important than they are."
)
Pairs = list[tuple[int, int]]


@dataclass(frozen=True)
class Patching(HtmlDisplay):
    """The activations that carry the difference between two texts.

    Attributes:
        target: the label whose probability is measured.
        first, second: its probability in the two texts.
        tokens: the aligned tokens of the two texts, as people read them.
        positions: [layers + 1][tokens], the share of the difference that one state restores; row 0 is the embeddings.
        heads: [layers][heads], the same for each head's output at all aligned tokens; empty where heads cannot be
            patched.
        sentences: the conclusions, in words.
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

    def as_dict(self) -> JsonObject:
        """Return all fields, for JSON."""
        return asdict(self)


def patch(
    predictor: Predictor,
    first: str,
    second: str,
    text_pair: str | None = None,
    target: str | None = None,
    word: WordRef = None,
) -> Patching:
    """Find the layers, tokens and heads that carry the difference between the answers to two texts.

    Args:
        predictor: a loaded run.
        first: a text.
        second: another text, ideally with one word changed; tokens are aligned.
        text_pair: the second text of a pair, the same for both.
        target: the label whose probability is measured; by default the first text's answer.
        word: for labels of words, the word or its index.

    Raises:
        RequestError: the answers do not differ, the texts share no token, or the model has no list of layers.
    """
    source, instance = Instance(predictor, first, text_pair), Instance(predictor, second, text_pair)
    spec = resolve_target(source, target, word)
    own_target = resolve_target(instance, spec.label, word).target
    high, low = source.probability(spec.target), instance.probability(own_target)
    if abs(high - low) < SMALLEST_DIFFERENCE:
        raise RequestError(
            f"{spec.label!r} has about the same probability in both texts ({high:.3f} and {low:.3f}).",
            "Choose two texts with different answers.",
        )
    pairs = _aligned(source, instance)
    positions = (_patched_states(source, instance, own_target, pairs) - low) / (high - low)
    patched = _patched_heads(source, instance, own_target, pairs)
    heads = None if patched is None else (patched - low) / (high - low)
    names = [joint_name(source.encoded.shown[a], instance.encoded.shown[b]) for a, b in pairs]
    return Patching(
        spec.label,
        high,
        low,
        names,
        positions.tolist(),
        [] if heads is None else heads.tolist(),
        _sentences(spec.label, high, low, positions, heads, names),
    )


def _aligned(source: Instance, instance: Instance) -> Pairs:
    """Return positions in the two texts of tokens that are the same, or replace each other."""
    aligned = align_tokens(source.encoded.tokens, instance.encoded.tokens)
    pairs = [(a, b) for a, b in aligned if a is not None and b is not None]
    if all(source.encoded.special[pair[0]] for pair in pairs):
        raise RequestError("The two texts share no token.", "Choose two texts that share most of their words.")
    return pairs


# -- states of the layers --------------------------------------------------------------------------------------------


def _patched_states(source: Instance, instance: Instance, target: Target, pairs: Pairs) -> Floats:
    """Return [layers + 1, pairs]: the target's probability with one state of the first text in the second."""
    layers = layers_of(instance.model)
    rows = []
    for number, state in enumerate(layer_states(source, layers)):
        probabilities = []
        for start in range(0, len(pairs), BATCH):
            batch = pairs[start : start + BATCH]

            def change(hidden: torch.Tensor, batch: Pairs = batch, state: torch.Tensor = state) -> torch.Tensor:
                changed = hidden.clone()
                for row, (theirs, own) in enumerate(batch):
                    changed[row, own] = state[0, theirs]
                return changed

            within = intercept_layer(layers, number, change)
            probabilities.append(probabilities_within(instance, target, len(batch), within))
        rows.append(np.concatenate(probabilities))
    return np.stack(rows)


def layer_states(instance: Instance, layers: torch.nn.ModuleList) -> list[torch.Tensor]:
    """Return the states before the first layer and after each, [1, T, D].

    Args:
        instance: the text and its model.
        layers: the model's, as :func:`~workbench.explain.hooks.layers_of` returns them.
    """
    with evaluating(instance.model), torch.no_grad(), record_states(layers) as states:
        instance.model(**instance.encoded.inputs)
    return states


def probabilities_within(
    instance: Instance, target: Target, count: int, within: contextlib.AbstractContextManager[None]
) -> Floats:
    """Return the target's probability in equal rows of one text, computed within a context that changes each.

    Args:
        instance: the text and its model.
        target: what is explained.
        count: the number of rows.
        within: what changes the model.

    Returns:
        [count].
    """
    with evaluating(instance.model), torch.no_grad(), within:
        scores = instance.target_score(instance.repeated(count), target)
    probabilities: Floats = scores.probability.double().cpu().numpy()
    return probabilities


# -- outputs of the heads --------------------------------------------------------------------------------------------


def _patched_heads(source: Instance, instance: Instance, target: Target, pairs: Pairs) -> Floats | None:
    """Return [layers, heads]: the same with the output of one head at all pairs; None where heads have no hook."""
    try:
        modules, heads = heads_of(instance)
    except RequestError:
        return None
    theirs, own = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    outputs: list[torch.Tensor] = []  # of each layer, [T, H, K]

    def record(_layer: int, output: torch.Tensor) -> torch.Tensor:
        outputs.append(output[0].detach())
        return output

    with evaluating(source.model), torch.no_grad(), intercept_heads(source.model, modules, record):
        source.model(**source.encoded.inputs)
    rows = []
    for number in range(len(modules)):

        def change(layer: int, output: torch.Tensor, number: int = number) -> torch.Tensor:
            if layer != number:
                return output
            changed = output.clone()
            for head in range(heads):  # row i of the batch has the i-th head from the first text
                changed[head, own, head] = outputs[number][theirs, head]
            return changed

        within = intercept_heads(instance.model, modules, change)
        rows.append(probabilities_within(instance, target, heads, within))
    return np.stack(rows)


# -- in words --------------------------------------------------------------------------------------------------------


def _sentences(
    label: str, high: float, low: float, positions: Floats, heads: Floats | None, names: Sequence[str]
) -> list[str]:
    text = _("The probability of {label!r} is {high:.2f} in the first text and {low:.2f} in the second.")
    sentences = [text.format(label=label, high=high, low=low)]
    inner = positions[1:-1] if len(positions) > 2 else positions
    row, column = np.unravel_index(int(np.abs(inner).argmax()), inner.shape)
    number = int(row) + (1 if len(positions) > 2 else 0)
    text = _(
        "Between the layers, the most important state is {token!r} after layer {layer}: alone, it restores "
        "{share:.0%} of the difference."
    )
    sentences.append(text.format(token=names[int(column)], layer=number, share=inner[row, column]))
    if heads is not None:
        layer, head = np.unravel_index(int(np.abs(heads).argmax()), heads.shape)
        text = _("The most important single head is head {head} of layer {layer}: {share:.0%}.")
        sentences.append(text.format(head=head, layer=layer, share=heads[layer, head]))
    return sentences
