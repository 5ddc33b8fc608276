"""Shapley values: Shapley 1953; Strumbelj and Kononenko 2010, and Lundberg and Lee 2017, for models.

Captum samples Shapley values as well, from torch's global random state and without their error. Here the texts go
through :meth:`~workbench.explain.instance.Instance.masked_probabilities` (see :mod:`workbench.explain.methods.lime`),
orders come in antithetic pairs (Mitchell et al. 2022, "Sampling Permutations for Shapley Value Estimation"), and the
standard error is reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from workbench.explain.base import Scores, explainers
from workbench.explain.instance import Instance
from workbench.explain.methods.occlusion import HidingBased
from workbench.spec import SpecModel
from workbench.tasks.base import Target

Value = Callable[[NDArray[np.bool_]], NDArray[np.float64]]  # [sets, features] to [sets]


@explainers.register("shapley")
class Shapley(HidingBased):
    """Shapley values: what a token adds to the label's probability, averaged over all orders of adding tokens."""

    reading = (
        "The numbers share out the difference between the label's probability for this text and for the same text with "
        "every word hidden, fairly: words that say the same share the credit. For longer texts the average is over "
        "random orders, and the standard error says how far it may be off."
    )

    slow = True

    class Config(SpecModel):
        exact_up_to: int = Field(8, ge=1, le=14, description="Texts of at most this many tokens are computed exactly.")
        texts: int = Field(600, ge=20, description="Most texts (examples) asked about where it is sampled.")
        seed: int = Field(0, description="Number that the random orders of tokens begin from.")

    def run(self, instance: Instance, target: Target) -> Scores:
        def value(kept: NDArray[np.bool_]) -> NDArray[np.float64]:
            return instance.masked_probabilities(instance.expand_mask(kept), target)

        count = len(instance.positions)
        details: dict[str, Any]
        if count <= self.config.exact_up_to:
            shares = exact_shapley(value, count)
            details = {"exact": True, "texts": 2**count}
        else:
            pairs = max(2, self.config.texts // (2 * count))
            shares, error = sampled_shapley(value, count, pairs, self.config.seed)
            details = {"exact": False, "texts": 2 * pairs * (count - 1) + 2, "standard_error": float(error.max())}
        scores = np.zeros(len(instance.encoded.tokens))
        scores[instance.positions] = shares
        return Scores(scores, details=details)


def exact_shapley(value: Value, count: int) -> NDArray[np.float64]:
    """The Shapley value of each of ``count`` features, by asking for all 2^count sets of them.

    phi_i = sum over sets S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)).
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


def sampled_shapley(value: Value, count: int, pairs: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimates of the Shapley values from random orders, each also backwards, and their standard errors [count].

    They always sum to v(all) - v(none).
    """
    draw = np.random.default_rng(seed)
    half = np.array([draw.permutation(count) for _ in range(pairs)])
    orders = np.concatenate([half, half[:, ::-1]])  # [2 pairs, count]
    ranks = orders.argsort(1)
    # Row s of an order holds its first s + 1 features; none and all are asked for once.
    steps = ranks[:, None, :] <= np.arange(count - 1)[None, :, None]
    ends = value(np.array([np.zeros(count, dtype=bool), np.ones(count, dtype=bool)]))
    inner = value(steps.reshape(-1, count)).reshape(len(orders), count - 1) if count > 1 else np.zeros((len(orders), 0))
    path = np.concatenate([np.full((len(orders), 1), ends[0]), inner, np.full((len(orders), 1), ends[1])], axis=1)
    gains = np.take_along_axis(np.diff(path, axis=1), ranks, axis=1)
    paired = (gains[:pairs] + gains[pairs:]) / 2
    error: NDArray[np.float64] = paired.std(0, ddof=1) / math.sqrt(pairs)
    shares: NDArray[np.float64] = paired.mean(0)
    return shares, error
