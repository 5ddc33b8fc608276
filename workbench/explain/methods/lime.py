"""LIME: Ribeiro et al. 2016, "Why Should I Trust You? Explaining the Predictions of Any Predictor".

Captum has LIME too, with the perturbations left to its caller. Here they go through
:meth:`~workbench.explain.instance.Instance.masked_probabilities`, so that "masked" means the same as in every other
method and in the measures of faithfulness; what remains is one weighted linear fit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from workbench.explain.base import Scores, explainers
from workbench.explain.instance import Instance
from workbench.explain.methods.occlusion import HidingBased
from workbench.spec import SpecModel
from workbench.tasks.base import Target


@explainers.register("lime")
class Lime(HidingBased):
    """LIME: a linear model of what the label's probability does when words around this text are hidden."""

    reading = (
        "The numbers are the weights of a linear model fitted to texts like this one with some words hidden: a token's "
        "number is what its presence adds to the label's probability. A model that is not linear around this text is "
        "fitted badly, which the share of explained variance tells."
    )

    slow = True

    class Config(SpecModel):
        samples: int = Field(500, ge=20, description="Texts with some words hidden that the model is asked about.")
        kernel_width: float = Field(0.25, gt=0, description="Share of a text that counts as near; smaller is nearer.")
        seed: int = Field(0, description="Number that the random choice of hidden tokens begins from.")

    def run(self, instance: Instance, target: Target) -> Scores:
        kept = _draw(len(instance.positions), self.config.samples, self.config.seed)
        probabilities = instance.masked_probabilities(instance.expand_mask(kept), target)
        nearness = _nearness(kept, self.config.kernel_width)
        weights, explained = weighted_ridge(kept.astype(float), probabilities, nearness)
        scores = np.zeros(len(instance.encoded.tokens))
        scores[instance.positions] = weights
        return Scores(scores, details={"samples": len(kept), "explained_variance": explained})


def _draw(features: int, samples: int, seed: int) -> NDArray[np.bool_]:
    """[samples, features]: the whole text first; then, as in the paper, a random number of tokens hidden."""
    draw = np.random.default_rng(seed)
    kept = np.ones((samples, features), dtype=bool)
    for row in kept[1:]:
        row[draw.permutation(features)[: draw.integers(1, features + 1)]] = False
    return kept


def _nearness(kept: NDArray[np.bool_], width: float) -> NDArray[np.float64]:
    """[samples]: an exponential kernel on the cosine distance to the whole text."""
    distance = 1 - np.sqrt(kept.mean(1))  # of a row of ones and zeros to a row of ones
    nearness: NDArray[np.float64] = np.exp(-(distance**2) / width**2 / 2)
    return nearness


def weighted_ridge(
    features: NDArray[np.float64], values: NDArray[np.float64], weights: NDArray[np.float64], penalty: float = 1.0
) -> tuple[NDArray[np.float64], float]:
    """Ridge regression with an intercept that is not penalised, each sample counting as much as its weight.

    Args:
        features: [samples, features].
        values, weights: [samples].
        penalty: of the squared coefficients.

    Returns:
        The coefficients [features], and the weighted share of the variance that they explain (R squared).
    """
    share = weights / weights.sum()
    centred = features - share @ features
    rest = values - share @ values
    gram = centred.T @ (weights[:, None] * centred) + penalty * np.eye(features.shape[1])
    coefficients: NDArray[np.float64] = np.linalg.solve(gram, centred.T @ (weights * rest))
    total = float(weights @ rest**2)
    left = float(weights @ (rest - centred @ coefficients) ** 2)
    return coefficients, 1 - left / total if total > 1e-12 else 1.0
