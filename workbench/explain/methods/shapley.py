"""Shapley values: Shapley 1953; Strumbelj and Kononenko 2010, and Lundberg and Lee 2017, for models.

Captum samples Shapley values as well, from torch's global random state and without their error. Here the texts go
through :meth:`~workbench.explain.instance.Instance.masked_probabilities` (see :mod:`workbench.explain.methods.lime`),
orders come in antithetic pairs (Mitchell et al. 2022, "Sampling Permutations for Shapley Value Estimation"), and the
standard error is reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from pydantic import Field

from workbench.explain.base import Scores, explainers
from workbench.explain.instance import Instance
from workbench.explain.methods.occlusion import MaskingBased
from workbench.spec import SpecModel
from workbench.tasks.base import Target
from workbench.types import Bools, Floats, JsonObject

Value: TypeAlias = Callable[[Bools], Floats]  # [sets, features] to [sets]


@explainers.register("shapley")
class Shapley(MaskingBased):
    """Shapley values: what a token adds to the label's probability, averaged over all orders of adding tokens."""

    reading = (
        "The scores share out the difference between the label's probability for this text and for the same text with "
        "every word masked: words that mean the same share the credit. For longer texts the average is over random "
        "orders, and the standard error shows how far it may be off."
    )

    slow = True

    class Config(SpecModel):
        exact_up_to: int = Field(8, ge=1, le=14, description="Compute texts of at most this many tokens exactly.")
        texts: int = Field(600, ge=20, description="Largest number of masked texts for sampling longer texts.")
        seed: int = Field(0, description="Seed of the random orders of tokens.")

    def run(self, instance: Instance, target: Target) -> Scores:
        def value(visible: Bools) -> Floats:
            return instance.masked_probabilities(instance.expand_mask(visible), target)

        count = len(instance.maskable)
        details: JsonObject
        if count <= self.config.exact_up_to:
            shares = exact_shapley(value, count)
            details = {"exact": True, "texts": 2**count}
        else:
            pairs = max(2, self.config.texts // (2 * count))
            shares, error = sampled_shapley(value, count, pairs, self.config.seed)
            details = {"exact": False, "texts": 2 * pairs * (count - 1) + 2, "standard_error": float(error.max())}
        scores = np.zeros(len(instance.encoded.tokens))
        scores[instance.maskable] = shares
        return Scores(scores, details=details)


def exact_shapley(value: Value, count: int) -> Floats:
    """Compute Shapley values from the values of all 2^count sets of features.

    phi_i = sum over sets S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)).

    Args:
        value: the value of each set, as a function of [sets, features].
        count: the number of features.

    Returns:
        [count].
    """
    sets = (np.arange(2**count)[:, None] >> np.arange(count)) & 1 == 1
    values = value(sets)
    sizes = sets.sum(1)
    weight = np.array([1 / (count * math.comb(count - 1, size)) for size in range(count)])
    shares = np.zeros(count)
    for feature in range(count):
        without = np.flatnonzero(~sets[:, feature])
        shares[feature] = weight[sizes[without]] @ (values[without | (1 << feature)] - values[without])
    return shares


def sampled_shapley(value: Value, count: int, pairs: int, seed: int) -> tuple[Floats, Floats]:
    """Estimate Shapley values from random orders, each also reversed. They always sum to v(all) - v(none).

    Args:
        value: the value of each set, as a function of [sets, features].
        count: the number of features.
        pairs: the number of random orders.
        seed: seed of the random orders.

    Returns:
        The estimates and their standard errors, [count] each.
    """
    generator = np.random.default_rng(seed)
    half = np.array([generator.permutation(count) for _ in range(pairs)])
    orders = np.concatenate([half, half[:, ::-1]])  # [2 pairs, count]
    ranks = orders.argsort(1)
    # Row s of an order holds its first s + 1 features; none and all are computed once.
    steps = ranks[:, None, :] <= np.arange(count - 1)[None, :, None]
    ends = value(np.array([np.zeros(count, dtype=bool), np.ones(count, dtype=bool)]))
    inner = value(steps.reshape(-1, count)).reshape(len(orders), count - 1) if count > 1 else np.zeros((len(orders), 0))
    path = np.concatenate([np.full((len(orders), 1), ends[0]), inner, np.full((len(orders), 1), ends[1])], axis=1)
    gains = np.take_along_axis(np.diff(path, axis=1), ranks, axis=1)
    paired = (gains[:pairs] + gains[pairs:]) / 2
    error: Floats = paired.std(0, ddof=1) / math.sqrt(pairs)
    shares: Floats = paired.mean(0)
    return shares, error
