"""LIME: Ribeiro et al. 2016, "Why Should I Trust You? Explaining the Predictions of Any Classifier".

Captum has LIME too, and leaves the perturbations to its caller. Here they go through
:meth:`~workbench.explain.instance.Instance.masked_probabilities`, so that "masked" means the same as in every other
method and in the measures of faithfulness; what remains is one weighted linear fit.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from workbench.explain.base import Scores, explainers
from workbench.explain.instance import Instance
from workbench.explain.methods.occlusion import MaskingBased
from workbench.spec import SpecModel
from workbench.tasks.base import Target
from workbench.types import Bools, Floats


@explainers.register("lime")
class Lime(MaskingBased):
    """LIME: a linear model of the label's probability as words of this text are masked."""

    reading = (
        "The scores are the weights of a linear model fitted to this text with some words masked: a token's score is "
        "what its presence adds to the label's probability. A model that is not linear around this text is fitted "
        "badly, which the share of explained variance shows."
    )

    slow = True

    class Config(SpecModel):
        samples: int = Field(500, ge=20, description="Number of masked texts that the model runs on.")
        kernel_width: float = Field(
            0.25,
            gt=0,
            description="Width of the kernel that weights texts by distance; smaller is more local.",
        )
        seed: int = Field(0, description="Seed of the random choice of masked tokens.")

    def run(self, instance: Instance, target: Target) -> Scores:
        visible = _sample_masks(len(instance.maskable), self.config.samples, self.config.seed)
        probabilities = instance.masked_probabilities(instance.expand_mask(visible), target)
        nearness = _nearness(visible, self.config.kernel_width)
        weights, explained = weighted_ridge(visible.astype(float), probabilities, nearness)
        scores = np.zeros(len(instance.encoded.tokens))
        scores[instance.maskable] = weights
        return Scores(scores, details={"samples": len(visible), "explained_variance": explained})


def _sample_masks(features: int, samples: int, seed: int) -> Bools:
    """Return [samples, features]: the whole text first; then, as in the paper, a random number of tokens masked."""
    generator = np.random.default_rng(seed)
    visible = np.ones((samples, features), dtype=bool)
    for row in visible[1:]:
        row[generator.permutation(features)[: generator.integers(1, features + 1)]] = False
    return visible


def _nearness(visible: Bools, width: float) -> Floats:
    """Return [samples]: an exponential kernel on the cosine distance to the whole text."""
    distance = 1 - np.sqrt(visible.mean(1))  # of a row of ones and zeros to a row of ones
    nearness: Floats = np.exp(-(distance**2) / width**2 / 2)
    return nearness


def weighted_ridge(features: Floats, values: Floats, weights: Floats, penalty: float = 1.0) -> tuple[Floats, float]:
    """Fit a ridge regression with weighted samples and an intercept that is not penalized.

    Args:
        features: [samples, features].
        values: [samples].
        weights: [samples].
        penalty: penalty on the squared coefficients.

    Returns:
        The coefficients [features], and the weighted share of the variance that they explain (R squared).
    """
    share = weights / weights.sum()
    centred = features - share @ features
    rest = values - share @ values
    gram = centred.T @ (weights[:, None] * centred) + penalty * np.eye(features.shape[1])
    coefficients: Floats = np.linalg.solve(gram, centred.T @ (weights * rest))
    total = float(weights @ rest**2)
    left = float(weights @ (rest - centred @ coefficients) ** 2)
    return coefficients, 1 - left / total if total > 1e-12 else 1.0
