"""Calibration: whether a run is right as often as its confidence says, and a temperature that improves it.

Guo, Pleiss, Sun and Weinberger 2017, "On Calibration of Modern Neural Networks", sections 2 (reliability diagram,
expected calibration error) and 4.2 (temperature scaling).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from workbench.types import Bools, Floats

BINS = 10
_EPSILON = 1e-12  # added so that a probability of 0 has a logarithm


@dataclass(frozen=True)
class CalibrationBin:
    """Examples of about the same confidence.

    Attributes:
        low: lower bound of the bin, exclusive.
        high: upper bound, inclusive.
        count: examples in the bin.
        confidence: their mean confidence.
        accuracy: the share of them that is right.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class TemperatureScaling:
    """A temperature that was fitted on one half of the examples and evaluated on the other.

    Attributes:
        temperature: divides the logits; above 1 the run was overconfident, below 1 underconfident.
        error_before: expected calibration error on the other half without it.
        error_after: expected calibration error on the other half with it.
    """

    temperature: float
    error_before: float
    error_after: float


def reliability_bins(confidence: ArrayLike, correct: Sequence[bool] | Bools, bins: int = BINS) -> list[CalibrationBin]:
    """Group examples into bins of equal width over the confidence; empty bins are left out.

    Args:
        confidence: probability of the predicted class, [N], 0 to 1.
        correct: whether the prediction is right, [N].
        bins: number of bins.

    Raises:
        ValueError: the two differ in length, or a confidence is not between 0 and 1.
    """
    values, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=bool)
    if values.shape != right.shape:
        raise ValueError(f"{len(values)} confidences do not match {len(right)} examples: pass one for each.")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("A confidence is not between 0 and 1.")
    bin_index = np.clip(np.ceil(values * bins).astype(int) - 1, 0, bins - 1)
    result = []
    for each in np.unique(bin_index):
        inside = bin_index == each
        share, mean = float(right[inside].mean()), float(values[inside].mean())
        result.append(CalibrationBin(each / bins, (each + 1) / bins, int(inside.sum()), mean, share))
    return result


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Return the expected calibration error: mean distance of accuracy and confidence over the examples.

    Args:
        bins: the result of :func:`reliability_bins`; without any the error is 0.
    """
    count = sum(each.count for each in bins)
    return sum(each.count * abs(each.accuracy - each.confidence) for each in bins) / count if count else 0.0


def apply_temperature(probabilities: ArrayLike, temperature: float) -> Floats:
    """Return the probabilities [N, C] that the same logits give at another temperature.

    Args:
        probabilities: [N, C].
        temperature: divides the logits.
    """
    logits = np.log(np.clip(np.asarray(probabilities, dtype=np.float64), _EPSILON, None)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    scaled: Floats = powers / powers.sum(axis=1, keepdims=True)
    return scaled


def fit_temperature(probabilities: ArrayLike, gold: ArrayLike) -> float:
    """Find the temperature with the smallest mean negative log-likelihood, between 0.05 and 20.

    Args:
        probabilities: [N, C].
        gold: class indices [N].
    """
    table, classes = np.asarray(probabilities, dtype=np.float64), np.asarray(gold, dtype=np.int64)

    def loss(log_temperature: float) -> float:
        scaled = apply_temperature(table, float(np.exp(log_temperature)))
        return float(-np.log(np.clip(scaled[np.arange(len(classes)), classes], _EPSILON, None)).mean())

    # The loss is convex in 1/T, so it has one minimum, which a golden-section search finds.
    low, high = np.log(0.05), np.log(20.0)
    golden = (np.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def temperature_scaling(
    probabilities: ArrayLike, gold: ArrayLike, seed: int = 0, bins: int = BINS
) -> TemperatureScaling:
    """Fit a temperature on one half of the examples, and evaluate it on the other.

    Args:
        probabilities: [N, C].
        gold: class indices [N].
        seed: seed of the random split into halves.
        bins: bins of the calibration error.

    Raises:
        ValueError: there are fewer than two examples.
    """
    table, classes = np.asarray(probabilities, dtype=np.float64), np.asarray(gold, dtype=np.int64)
    if len(table) < 2:
        raise ValueError("Two examples are needed: one to fit the temperature, one to evaluate it.")
    order = np.random.default_rng(seed).permutation(len(table))
    first, other = order[: len(table) // 2], order[len(table) // 2 :]
    temperature = fit_temperature(table[first], classes[first])

    def error(scaled: Floats) -> float:
        right = scaled.argmax(axis=1) == classes[other]
        return calibration_error(reliability_bins(np.clip(scaled.max(axis=1), 0, 1), right, bins))

    return TemperatureScaling(temperature, error(table[other]), error(apply_temperature(table[other], temperature)))
