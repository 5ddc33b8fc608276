"""Analysis of a learning-rate range test: the loss while the learning rate rises, and the rate to train with.

One short training in which the learning rate rises from very small to far too large (Smith 2015, arXiv 1506.01186, in
the exponential form that has become common: each step multiplies the rate by the same factor). While the rate is too
small the loss stays the same; then it falls, faster with better rates; finally it grows again, because steps are too
large.

Only numpy is needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.runs.documents import RangeTestResult

Floats = NDArray[np.float64]

MIN_STEPS = 8  # below which a curve says nothing
WIDTH = 0.025  # standard deviation of the smoothing, as a share of all steps
MEMORY = 0.8  # decay of the running mean that detects divergence
CLEAR = 5.0  # standard errors of the smoothed loss that a fall must have; noise alone has a lowest value, too
# The running mean has diverged when it is above its first and its lowest value, times these.
ABOVE_FIRST, ABOVE_LOWEST = 1.5, 2.0


def lr_multiplier(step: int, steps: int, lowest: float, highest: float) -> float:
    """Return the multiplier of the highest rate at a step.

    Args:
        step: from 0.
        steps: number of steps of the test.
        lowest: learning rate of the first step.
        highest: learning rate of the last step.
    """
    return float((lowest / highest) ** (1 - min(step, steps - 1) / max(1, steps - 1)))


class DivergenceDetector:
    """Detects an exploding loss: its running mean is far above its first and its lowest value."""

    def __init__(self) -> None:
        self._steps, self._mean, self._first, self._lowest = 0, 0.0, math.inf, math.inf

    def add(self, loss: float) -> bool:
        """Add the loss of a step, and return whether the loss has exploded."""
        self._steps += 1
        self._mean = MEMORY * self._mean + (1 - MEMORY) * loss
        value = self._mean / (1 - MEMORY**self._steps)  # the mean began at 0: this takes that out
        self._first = value if self._steps == 1 else self._first
        self._lowest = min(self._lowest, value)
        return not math.isfinite(value) or value > max(ABOVE_FIRST * self._first, ABOVE_LOWEST * self._lowest)


def smooth(losses: Sequence[float]) -> Floats:
    """Return the mean of each loss and its neighbours with Gaussian weights.

    The window is centred, so that the curve does not lag: a running mean would move its minimum to higher rates.

    Args:
        losses: [N].
    """
    values = np.asarray(losses, dtype=np.float64)
    steps = np.arange(len(values))
    weights = _weights(steps[:, None] - steps[None, :], len(values))
    smoothed: Floats = (weights @ values) / weights.sum(axis=1)
    return smoothed


def _weights(distance: NDArray[np.int64], count: int) -> Floats:
    weights: Floats = np.exp(-0.5 * (distance / max(1.0, WIDTH * count)) ** 2)
    return weights


def analyze(rates: Sequence[float], losses: Sequence[float], diverged_at: int | None = None) -> RangeTestResult:
    """Find the learning rate to train with.

    The suggestion is the smaller of two common choices: the rate of the steepest fall, and a tenth of the rate of the
    lowest loss.

    Args:
        rates: learning rate of each step, rising by the same factor, [N].
        losses: training loss of each step, finite, [N].
        diverged_at: the step at which the loss exploded, if it did.
    """
    smoothed = smooth(losses) if len(losses) else np.zeros(0)
    nothing = RangeTestResult(
        suggestion=None,
        how="",
        steepest=None,
        minimum=None,
        minimum_tenth=None,
        fall=None,
        diverged_at=diverged_at,
        rates=list(map(float, rates)),
        losses=list(map(float, losses)),
        smoothed=smoothed.tolist(),
    )
    if len(losses) < MIN_STEPS:
        why = f"The test ended after {len(losses)} steps, which is too few. Lower range_test.lowest."
        return nothing.model_copy(update={"how": why})
    lowest = int(smoothed.argmin())
    start = float(smoothed[: max(1, len(smoothed) // 10)].mean())
    fall = start - float(smoothed[lowest])
    if fall < CLEAR * _noise(losses[: lowest + 1], smoothed) or lowest == 0:
        why = (
            f"No rate can be suggested: the smoothed loss fell by {max(0.0, fall):.3g}, no more than its noise. Use "
            "more range_test.steps, larger batches, or other bounds."
        )
        return nothing.model_copy(update={"how": why, "fall": fall})
    steepest = float(rates[_steepest(rates, smoothed, start, lowest)])
    minimum = float(rates[lowest])
    which = "where the loss falls fastest" if steepest <= minimum / 10 else "a tenth of the rate with the lowest loss"
    suggestion = float(f"{min(steepest, minimum / 10):.2g}")  # more digits would promise more than a test can tell
    how = (
        f"{suggestion:.2g} is {which}, the smaller of two choices: fastest fall at {steepest:.2g}, lowest loss at "
        f"{minimum:.2g}."
    )
    return nothing.model_copy(
        update={
            "suggestion": suggestion,
            "how": how,
            "steepest": steepest,
            "minimum": minimum,
            "minimum_tenth": minimum / 10,
            "fall": fall,
        }
    )


def _noise(losses: Sequence[float], smoothed: Floats) -> float:
    """Return the standard error of the smoothed loss, from the scatter of ``losses``, its first values."""
    scatter = float(np.std(np.asarray(losses) - smoothed[: len(losses)]))
    weights = _weights(np.arange(-len(smoothed), len(smoothed) + 1), len(smoothed))
    return scatter * math.sqrt(float((weights**2).sum())) / float(weights.sum())


def _steepest(rates: Sequence[float], smoothed: Floats, start: float, lowest: int) -> int:
    """Return the step of the fastest fall over the log of the rate, between the end of the plateau and the minimum."""
    fallen = start - smoothed[:lowest] < 0.1 * (start - smoothed[lowest])
    begin = int(np.flatnonzero(fallen)[-1]) if fallen.any() else 0
    slopes = np.gradient(smoothed, np.log10(np.asarray(rates, dtype=np.float64)))
    return begin + int(slopes[begin : lowest + 1].argmin())


def loss_curve(rows: Sequence[Mapping[str, float]]) -> tuple[list[float], list[float]]:
    """Return the learning rates and the losses in lines of metrics.

    Args:
        rows: rows of ``metrics.jsonl``.
    """
    complete = [row for row in rows if "train/loss" in row and "train/learning_rate" in row]
    return [row["train/learning_rate"] for row in complete], [row["train/loss"] for row in complete]
