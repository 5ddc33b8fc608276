"""Checks of one explanation: curves, agreement, stability, sanity.

    curves      mask tokens one by one in the order of the explanation, in random orders, in the order of raw attention
    agreement   do other methods rank the tokens similarly?
    stability   does a change of the text without a change of meaning change the explanation?
    sanity      does it change when the learned weights are destroyed? (Adebayo et al. 2018, "Sanity Checks ...")

The curves are those of Samek et al. 2017 and Petsiuk et al. 2018 ("RISE": deletion and insertion), with tokens in place
of pixels.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

import numpy as np
import torch

from workbench.explain.base import Explainer, compatibility, explainers
from workbench.explain.instance import Instance
from workbench.explain.predictor import LoadedModel, Predictor
from workbench.i18n import N_
from workbench.metrics.correlation import rank_correlation
from workbench.tasks.base import Target
from workbench.types import Floats, Model

Check = Literal["curves", "agreement", "stability", "sanity"]
CHECKS: tuple[Check, ...] = get_args(Check)
HARMLESS = 0.05  # a change that moves the label's probability further than this is not harmless
DEPENDS = 0.5  # rank correlation below which an explanation has changed with the weights
Texts = tuple[str, str | None]


@dataclass(frozen=True)
class Curves:
    """The label's probability while tokens are masked (deletion) or shown (insertion).

    Attributes:
        shares: shares of the text's tokens that are masked or shown, 0 to 1.
        lines: the probability at each share: ``deletion`` and ``insertion`` in the order of the explanation;
            ``random_deletion`` and ``random_insertion``, means over random orders; ``attention_deletion`` and
            ``attention_insertion`` in the order of raw attention, where there is any.
        areas: the mean probability of each line; low for deletion and high for insertion is good.
        draws, seed: number and seed of the random orders.
    """

    shares: list[float]
    lines: dict[str, list[float]]
    areas: dict[str, float]
    draws: int
    seed: int


class Agreement(TypedDict):
    """The rank correlation (-1 to 1) of two methods' scores, and the share of the top tokens that both have."""

    rank_correlation: float | None
    shared: float


class Stability(TypedDict):
    """The effect of a change of the text on the label's probability and on the ranking of the tokens."""

    change: str
    text: str
    moved: float
    harmless: bool
    rank_correlation: float | None


class Sanity(TypedDict):
    """The rank correlation with explanations of shuffled weights, and whether it depends on the weights."""

    rank_correlation: float | None
    draws: int
    depends: bool


def attention_scores(predictor: Predictor, instance: Instance, target: Target) -> Floats | None:
    """Return the scores of raw attention; None for a model without attention.

    Args:
        predictor: a loaded run.
        instance: its text.
        target: what is explained.
    """
    entry = explainers.get("attention")
    return entry().run(instance, target).values if entry.why_incompatible(predictor) is None else None


# -- curves ---------------------------------------------------------------------------------------------------------


def curves(
    instance: Instance,
    scores: Floats,
    target: Target,
    rival: Floats | None = None,
    steps: int = 10,
    draws: int = 5,
    seed: int = 0,
) -> Curves:
    """Compute the label's probability while tokens are masked (deletion) or shown (insertion), highest scores first.

    Args:
        instance: the text and its model.
        scores: [tokens].
        target: what is explained.
        rival: [tokens], the scores of another explanation, such as raw attention, to compare with.
        steps: the largest number of steps.
        draws: the number of random orders.
        seed: seed of the random orders.
    """
    count = len(instance.maskable)
    generator = np.random.default_rng(seed)
    orders = [np.argsort(-scores[instance.maskable], kind="stable")]
    orders += [generator.permutation(count) for _ in range(draws)]
    if rival is not None:
        orders.append(np.argsort(-rival[instance.maskable], kind="stable"))
    sizes = np.unique(np.linspace(0, count, min(steps, count) + 1).round().astype(int))  # tokens at each point
    ranks = np.array(orders).argsort(1)  # [orders, count]
    first = ranks[:, None, :] < sizes[None, :, None]  # [orders, points, count]
    masks = np.concatenate([~first, first]).reshape(-1, count)
    probabilities = instance.masked_probabilities(instance.expand_mask(masks), target)
    values = probabilities.reshape(2, len(orders), len(sizes))
    shares = sizes / count
    lines = {}
    for kind, of_orders in zip(("deletion", "insertion"), values, strict=True):
        lines[kind] = of_orders[0]
        lines[f"random_{kind}"] = of_orders[1 : 1 + draws].mean(0)
        if rival is not None:
            lines[f"attention_{kind}"] = of_orders[-1]
    areas = {name: float(np.trapezoid(line, shares)) for name, line in lines.items()}
    points = {name: line.tolist() for name, line in lines.items()}
    return Curves(shares.tolist(), points, areas, draws, seed)


# -- agreement ------------------------------------------------------------------------------------------------------


def agreement(
    predictor: Predictor, instance: Instance, explainer: Explainer, scores: Floats, target: Target
) -> dict[str, Agreement]:
    """Compare the ranking of the tokens with every other fast method that fits the model.

    Where one of two methods has no sign (attention), both are compared by magnitude.

    Args:
        predictor: a loaded run.
        instance: its text.
        explainer: the method.
        scores: [tokens], its scores.
        target: what is explained.

    Returns:
        The agreement with each other method, by its name.
    """
    result = {}
    own = instance.maskable
    for name, reason in compatibility(predictor).items():
        entry = explainers.get(name)
        if reason is not None or entry.slow or name == explainer.name:
            continue
        theirs, mine = entry().run(instance, target).values[own], scores[own]
        if not (entry.signed and explainer.signed):
            theirs, mine = np.abs(theirs), np.abs(mine)
        result[name] = Agreement(rank_correlation=rank_correlation(mine, theirs), shared=_shared_top(mine, theirs))
    return result


def _shared_top(first: Floats, second: Floats, share: float = 0.2) -> float:
    """Return the share of the top-k tokens that two rankings have in common; k is a ``share`` of the text."""
    count = max(1, int(share * len(first)))
    best = [set(np.argsort(-values, kind="stable")[:count].tolist()) for values in (first, second)]
    return len(best[0] & best[1]) / count


# -- stability ------------------------------------------------------------------------------------------------------


def _full_stop(text: str) -> str:
    bare = text.rstrip()
    return bare[:-1] if bare.endswith(".") else f"{bare}."


def _first_letter(text: str) -> str:
    return text[:1].swapcase() + text[1:]


CHANGES: dict[str, Callable[[str], str]] = {
    N_("a full stop at the end"): _full_stop,
    N_("case of the first letter"): _first_letter,
    N_("capital letters"): str.upper,
    N_("an extra space"): lambda text: text.replace(" ", "  ", 1),
}


def stability(
    predictor: Predictor,
    instance: Instance,
    texts: Texts,
    explainer: Explainer,
    scores: Floats,
    target: Target,
) -> list[Stability]:
    """Explain the same text with changes that do not change its meaning, and compare the scores of the common tokens.

    A change that the tokenizer does not see is left out. One that moves the prediction is reported as not harmless.

    Args:
        predictor: a loaded run.
        instance: its text.
        texts: the text and the second text.
        explainer: the method.
        scores: [tokens], its scores.
        target: what is explained.
    """
    before = instance.probability(target)
    result = []
    for name, change in CHANGES.items():
        changed = change(texts[0])
        if not changed.strip():
            continue
        other = Instance(predictor, changed, texts[1])
        if other.encoded.tokens == instance.encoded.tokens:
            continue
        theirs = explainer.run(other, target).values
        pairs = _same_tokens(instance.encoded.tokens, other.encoded.tokens, set(instance.maskable.tolist()))
        moved = other.probability(target) - before
        correlation = rank_correlation(
            np.array([scores[own] for own, _ in pairs]), np.array([theirs[their] for _, their in pairs])
        )
        result.append(
            Stability(
                change=name, text=changed, moved=moved, harmless=abs(moved) <= HARMLESS, rank_correlation=correlation
            )
        )
    return result


def _same_tokens(first: list[str], second: list[str], allowed: set[int]) -> list[tuple[int, int]]:
    """Return pairs of positions of common tokens, in order; of the first text only ``allowed`` positions."""
    lower = ([token.lower() for token in first], [token.lower() for token in second])
    blocks = difflib.SequenceMatcher(None, *lower, autojunk=False).get_matching_blocks()
    pairs = [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]
    return [pair for pair in pairs if pair[0] in allowed]


# -- sanity ---------------------------------------------------------------------------------------------------------


def sanity(
    predictor: Predictor,
    texts: Texts,
    explainer: Explainer,
    scores: Floats,
    target: Target,
    draws: int = 2,
    seed: int = 0,
) -> Sanity:
    """Explain models with shuffled weights: scores that stay the same do not show what was learned.

    Args:
        predictor: a loaded run.
        texts: the text and the second text.
        explainer: the method.
        scores: [tokens], its scores for the model as it is.
        target: what is explained.
        draws: the number of shuffled models.
        seed: seed of the shuffling.
    """
    own = Instance(predictor, *texts).maskable
    correlations = []
    for draw in range(draws):
        model = shuffled(predictor.model, seed + draw)
        destroyed = LoadedModel(model, predictor.tokenizer, predictor.task, predictor.labels, predictor.max_length)
        theirs = explainer.run(Instance(destroyed, *texts), target).values
        correlations.append(rank_correlation(np.abs(scores[own]), np.abs(theirs[own])))
    defined = [value for value in correlations if value is not None]
    mean = float(np.mean(defined)) if defined else None
    constant = np.ptp(scores[own]) == 0  # cannot change
    depends = not constant and (mean is None or abs(mean) < DEPENDS)
    return Sanity(rank_correlation=mean, draws=draws, depends=bool(depends))


def shuffled(model: Model, seed: int) -> Model:
    """Copy a model, and shuffle the numbers of each parameter with two or more dimensions.

    Args:
        model: any model.
        seed: seed of the shuffling.
    """
    result = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in result.parameters():
            if parameter.dim() >= 2 and parameter.is_floating_point():
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return result
