"""Whether a run is right as often as it says: reliability, its error, and one temperature that mends it.

Guo, Pleiss, Sun and Weinberger 2017, "On Calibration of Modern Neural Networks", sections 2 (reliability diagram,
expected calibration error) and 4.2 (temperature scaling).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

BINS = 10
_TINY = 1e-12  # a probability of 0 has no logarithm


@dataclass(frozen=True)
class CalibrationBin:
    """Examples of about the same confidence.

    Attributes:
        low, high: the bounds of the bin; ``high`` belongs to it.
        count: examples in it.
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
    """A temperature that was fitted on one half of the examples and judged on the other.

    Attributes:
        temperature: the logits are divided by it; above 1 the run was too sure, below 1 too unsure.
        error_before, error_after: expected calibration error on the other half.
    """

    temperature: float
    error_before: float
    error_after: float


def reliability_bins(
    confidence: ArrayLike, correct: Sequence[bool] | NDArray[np.bool_], bins: int = BINS
) -> list[CalibrationBin]:
    """Bins of equal width over the confidence; empty ones are left out.

    Args:
        confidence: probability of what was said, [N], 0 to 1.
        correct: whether it was right, [N].

    Raises:
        ValueError: the two differ in length, or a confidence is not between 0 and 1.
    """
    values, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=bool)
    if values.shape != right.shape:
        raise ValueError(f"{len(values)} confidences and {len(right)} judgements were given: as many are needed.")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("A confidence is not between 0 and 1.")
    number = np.clip(np.ceil(values * bins).astype(int) - 1, 0, bins - 1)
    found = []
    for each in np.unique(number):
        inside = number == each
        share, mean = float(right[inside].mean()), float(values[inside].mean())
        found.append(CalibrationBin(each / bins, (each + 1) / bins, int(inside.sum()), mean, share))
    return found


def calibration_error(found: Sequence[CalibrationBin]) -> float:
    """Expected calibration error: how far accuracy is from confidence, on average over the examples; 0 without any."""
    count = sum(one.count for one in found)
    return sum(one.count * abs(one.accuracy - one.confidence) for one in found) / count if count else 0.0


def apply_temperature(probabilities: ArrayLike, temperature: float) -> Floats:
    """Probabilities [N, C] as they would be with the logits divided by ``temperature``."""
    logits = np.log(np.clip(np.asarray(probabilities, dtype=np.float64), _TINY, None)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    scaled: Floats = powers / powers.sum(axis=1, keepdims=True)
    return scaled


def fit_temperature(probabilities: ArrayLike, gold: ArrayLike) -> float:
    """The temperature of the least mean negative log-likelihood, between 0.05 and 20.

    Args:
        probabilities: [N, C].
        gold: class numbers [N].
    """
    table, classes = np.asarray(probabilities, dtype=np.float64), np.asarray(gold, dtype=np.int64)

    def loss(logarithm: float) -> float:
        scaled = apply_temperature(table, float(np.exp(logarithm)))
        return float(-np.log(np.clip(scaled[np.arange(len(classes)), classes], _TINY, None)).mean())

    # The loss has one minimum over 1/T (it is convex there), so the section that holds it can be narrowed down.
    low, high = np.log(0.05), np.log(20.0)
    golden = (np.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def temperature_scaling(
    probabilities: ArrayLike, gold: ArrayLike, seed: int = 0, bins: int = BINS
) -> TemperatureScaling:
    """Fit a temperature on one half of the examples, and judge it on the other.

    Raises:
        ValueError: there are fewer than two examples.
    """
    table, classes = np.asarray(probabilities, dtype=np.float64), np.asarray(gold, dtype=np.int64)
    if len(table) < 2:
        raise ValueError("Two examples are needed: one to fit the temperature on, one to judge it.")
    order = np.random.default_rng(seed).permutation(len(table))
    first, other = order[: len(table) // 2], order[len(table) // 2 :]
    temperature = fit_temperature(table[first], classes[first])

    def error(scaled: Floats) -> float:
        right = scaled.argmax(axis=1) == classes[other]
        return calibration_error(reliability_bins(np.clip(scaled.max(axis=1), 0, 1), right, bins))

    return TemperatureScaling(temperature, error(table[other]), error(apply_temperature(table[other], temperature)))
