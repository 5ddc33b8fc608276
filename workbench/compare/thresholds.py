"""Decision thresholds: precision and recall of a class at every threshold, and the best threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from workbench.types import Bools, Floats


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Precision and recall where an example counts as the class from a score on.

    Attributes:
        thresholds: [T], descending; each is a score that occurs.
        precision: [T], of the examples with at least that score, the share that are of the class.
        recall: [T], of the examples of the class, the share with at least that score.
    """

    thresholds: Floats
    precision: Floats
    recall: Floats

    @property
    def f1(self) -> Floats:
        """[T], the harmonic mean of both; 0 where both are."""
        total = self.precision + self.recall
        return np.divide(2 * self.precision * self.recall, total, out=np.zeros_like(total), where=total > 0)

    @property
    def average_precision(self) -> float:
        """The precisions weighted by the recall that each adds: the area under the steps of the curve."""
        return float(np.sum(np.diff(self.recall, prepend=0.0) * self.precision))


@dataclass(frozen=True)
class BestThreshold:
    """The threshold with the best F1, tuned on one half of the examples.

    Attributes:
        threshold: the class is predicted from this score on.
        tuned_f1: F1 on the half where the threshold was tuned: too optimistic, since it was chosen there.
        held_out_f1: F1 on the other half.
        default_f1: F1 on the other half with a threshold of 0.5.
    """

    threshold: float
    tuned_f1: float
    held_out_f1: float
    default_f1: float


def precision_recall(scores: ArrayLike, positive: Sequence[bool] | Bools) -> PrecisionRecallCurve:
    """Compute the precision-recall curve of one class.

    Args:
        scores: scores of the class, [N].
        positive: whether each example is of the class, [N].

    Raises:
        ValueError: the two differ in length, no example is of the class, or a score is not finite.
    """
    values, truth = _checked(scores, positive)
    order = np.argsort(-values, kind="stable")
    values, truth = values[order], truth[order]
    last = np.flatnonzero(np.append(np.diff(values) != 0, True))  # the last example of each score
    hits = np.cumsum(truth)[last]
    return PrecisionRecallCurve(values[last], hits / (last + 1), hits / truth.sum())


def f1_at(scores: ArrayLike, positive: Sequence[bool] | Bools, threshold: float) -> float:
    """Compute the F1 of the class at one threshold.

    Args:
        scores: scores of the class, [N].
        positive: whether each example is of the class, [N].
        threshold: the class is predicted from this score on.

    Raises:
        ValueError: as for :func:`precision_recall`.
    """
    values, truth = _checked(scores, positive)
    predicted = values >= threshold
    return float(2 * np.sum(predicted & truth) / (np.sum(predicted) + np.sum(truth)))


def best_threshold(scores: ArrayLike, positive: Sequence[bool] | Bools, seed: int = 0) -> BestThreshold:
    """Tune the threshold by F1 on one half of the examples, and evaluate it on the other.

    Args:
        scores: scores of the class, [N].
        positive: whether each example is of the class, [N].
        seed: seed of the random split into halves.

    Raises:
        ValueError: as for :func:`precision_recall`, or fewer than two examples are of the class.
    """
    values, truth = _checked(scores, positive)
    if truth.sum() < 2:
        raise ValueError("Two examples of the class are needed: one to tune the threshold, one to evaluate it.")
    first = np.zeros(len(values), dtype=bool)
    generator = np.random.default_rng(seed)
    for stratum in (np.flatnonzero(truth), np.flatnonzero(~truth)):  # half of the class, and half of the others
        first[generator.permutation(stratum)[: len(stratum) // 2]] = True
    curve = precision_recall(values[first], truth[first])
    best = int(np.argmax(curve.f1))
    threshold = float(curve.thresholds[best])
    held_out, default = (f1_at(values[~first], truth[~first], each) for each in (threshold, 0.5))
    return BestThreshold(threshold, float(curve.f1[best]), held_out, default)


def _checked(scores: ArrayLike, positive: Sequence[bool] | Bools) -> tuple[Floats, Bools]:
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    if values.shape != truth.shape:
        raise ValueError(f"{len(values)} scores do not match {len(truth)} labels: pass one for each example.")
    if not truth.any():
        raise ValueError("No example is of the class.")
    if not np.isfinite(values).all():
        raise ValueError("A score is not a number.")
    return values, truth
