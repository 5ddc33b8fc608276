"""How faithful an explanation is: mask the tokens that it ranks highest, and measure how the prediction changes.

DeYoung et al. 2020, "ERASER: A Benchmark to Evaluate Rationalized NLP Models": comprehensiveness is how far the
target's probability falls when the top-k tokens are masked (higher is better), sufficiency how far it falls when only
they are visible (lower is better). Masking anything may move a model, so both are compared with as many random tokens.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from workbench.explain.instance import Instance
from workbench.i18n import _, ngettext
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
        draws, seed: number and seed of the random draws.
        sentence: the conclusion, in words.
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
    random = [generator.choice(positions, count, replace=False) for _draw in range(draws)]

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
        else _sentence(label, count, _are_words(instance), original, without, without_random),
    )


def _are_words(instance: Instance) -> bool:
    """Return whether each of the text's tokens is a whole word."""
    encoded = instance.encoded
    keys = [(encoded.segments[position], encoded.words[position]) for position in instance.maskable.tolist()]
    return len(set(keys)) == len(keys)


def _too_short(label: str, original: float, without: float) -> str:
    text = _("The text is too short to tell: masking all of it takes {label!r} from {original:.2f} to {without:.2f}.")
    return text.format(label=label, original=original, without=without)


def _sentence(label: str, count: int, are_words: bool, original: float, without: float, random: float) -> str:
    if are_words:
        units = ngettext("the top word", "the top {n} words", count)
        random_units = ngettext("a random word", "{n} random words", count)
    else:
        units = ngettext("the top subword", "the top {n} subwords", count)
        random_units = ngettext("a random subword", "{n} random subwords", count)
    if abs(without - original) <= 0.005:
        text = _("Masking {top} leaves {label!r} at {original:.2f}; masking {others}: to {random:.2f}.")
    elif without < original:
        text = _(
            "Masking {top} lowers {label!r} from {original:.2f} to {without:.2f}; masking {others}: to {random:.2f}."
        )
    else:
        text = _(
            "Masking {top} raises {label!r} from {original:.2f} to {without:.2f}; masking {others}: to {random:.2f}."
        )
    return text.format(
        top=units.format(n=count),
        others=random_units.format(n=count),
        label=label,
        original=original,
        without=without,
        random=random,
    )
