"""How faithful an explanation is: mask the tokens that it ranks highest, and measure how the prediction changes.

DeYoung et al. 2020, "ERASER: A Benchmark to Evaluate Rationalized NLP Models": comprehensiveness is how far the
target's probability falls when the top-k tokens are masked (higher is better), sufficiency how far it falls when only
they are visible (lower is better). Masking anything may move a model, so both are compared with as many random tokens.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from workbench.explain.instance import Instance
from workbench.tasks.base import Target
from workbench.types import Floats


class Faithfulness(TypedDict):
    """Comprehensiveness and sufficiency of one explanation, and what they were computed from.

    Attributes:
        top_k: positions of the tokens with the highest scores.
        mask_token: the token that replaces a masked one.
        original: the target's probability for the whole text; the following, with tokens masked.
        without_top_k, only_top_k: with the top-k tokens masked, and with all others masked.
        without_random, only_random: the same for random tokens, the mean over draws.
        comprehensiveness, sufficiency: falls from ``original``, for the top-k tokens.
        random_comprehensiveness, random_sufficiency: the same for random tokens.
        random_at_least_as_good: the share of random draws that lower the probability at least as far.
        draws, seed: of random tokens.
        sentence: what follows, in words.
    """

    top_k: list[int]
    mask_token: str
    original: float
    without_top_k: float
    only_top_k: float
    without_random: float
    only_random: float
    comprehensiveness: float
    sufficiency: float
    random_comprehensiveness: float
    random_sufficiency: float
    random_at_least_as_good: float
    draws: int
    seed: int
    sentence: str


def faithfulness(
    instance: Instance,
    scores: Floats,
    target: Target,
    label: str,
    share: float = 0.2,
    draws: int = 20,
    seed: int = 0,
) -> Faithfulness:
    """Measure comprehensiveness and sufficiency of scores, and of random tokens.

    Args:
        instance: the text and its model.
        scores: [tokens], higher for more important tokens; special tokens are never masked.
        target: what is explained.
        label: the target's name, for the sentence.
        share: the share of the text's tokens that are the top k (at least one token).
        draws: the number of random draws.
        seed: seed of the random draws.
    """
    positions = instance.maskable
    count = max(1, int(share * len(positions)))
    order = np.argsort(-scores[positions], kind="stable")
    top_k = np.sort(positions[order[:count]])
    generator = np.random.default_rng(seed)
    random = [generator.choice(positions, count, replace=False) for _ in range(draws)]

    length = len(instance.encoded.tokens)
    visible = [np.ones(length, dtype=bool)]
    for chosen in [top_k, *random]:
        only = np.zeros(length, dtype=bool)
        only[chosen] = True
        visible += [~only, only]
    probabilities = instance.masked_probabilities(np.stack(visible), target)
    original, without, only_top_k = (float(value) for value in probabilities[:3])
    random_without, random_only = probabilities[3::2], probabilities[4::2]
    without_random, only_random = float(random_without.mean()), float(random_only.mean())
    return Faithfulness(
        top_k=[int(position) for position in top_k],
        mask_token=instance.mask_token,
        original=original,
        without_top_k=without,
        only_top_k=only_top_k,
        without_random=without_random,
        only_random=only_random,
        comprehensiveness=original - without,
        sufficiency=original - only_top_k,
        random_comprehensiveness=original - without_random,
        random_sufficiency=original - only_random,
        random_at_least_as_good=float((random_without <= without).mean()),
        draws=draws,
        seed=seed,
        sentence=_too_short(label, original, without)
        if count == len(positions)
        else _sentence(label, count, _unit(instance, count), original, without, without_random),
    )


def _unit(instance: Instance, count: int) -> str:
    """Return the name of the text's tokens: words, where no word is split."""
    encoded = instance.encoded
    keys = [(encoded.segments[position], encoded.words[position]) for position in instance.maskable.tolist()]
    return ("word" if len(set(keys)) == len(keys) else "subword") + ("s" if count > 1 else "")


def _too_short(label: str, original: float, without: float) -> str:
    return f"The text is too short to tell: masking all of it takes {label!r} from {original:.2f} to {without:.2f}."


def _sentence(label: str, count: int, unit: str, original: float, without: float, random: float) -> str:
    number = f"{count} " if count > 1 else ""
    if abs(without - original) <= 0.005:
        change = f"leaves {label!r} at {original:.2f}"
    else:
        verb = "lowers" if without < original else "raises"
        change = f"{verb} {label!r} from {original:.2f} to {without:.2f}"
    return f"Masking the top {number}{unit} {change}; masking {number or 'a '}random {unit}: to {random:.2f}."
