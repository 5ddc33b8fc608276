"""From which score on to say yes: precision and recall of a class at every threshold, and the best one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Precision and recall where an example counts as the class from a score on.

    Attributes:
        thresholds: [T], falling; each is a score that occurs.
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
        """The precisions, each counted by how much recall it adds: the area under the steps of the curve."""
        return float(np.sum(np.diff(self.recall, prepend=0.0) * self.precision))


@dataclass(frozen=True)
class BestThreshold:
    """The threshold of the best F1, found on one half of the examples.

    Attributes:
        threshold: the class is said from this score on.
        tuned_f1: F1 on the half where it was found: too good, since it was chosen there.
        held_out_f1: F1 on the other half.
        default_f1: F1 on the other half where the class is said from 0.5 on.
    """

    threshold: float
    tuned_f1: float
    held_out_f1: float
    default_f1: float


def precision_recall(scores: ArrayLike, positive: Sequence[bool] | NDArray[np.bool_]) -> PrecisionRecallCurve:
    """The curve of one class.

    Args:
        scores: of the class, [N].
        positive: whether each example is of the class, [N].

    Raises:
        ValueError: the two differ in length, no example is of the class, or a score is no number.
    """
    values, truth = _checked(scores, positive)
    order = np.argsort(-values, kind="stable")
    values, truth = values[order], truth[order]
    last = np.flatnonzero(np.append(np.diff(values) != 0, True))  # the last example of each score
    hits = np.cumsum(truth)[last]
    return PrecisionRecallCurve(values[last], hits / (last + 1), hits / truth.sum())


def f1_at(scores: ArrayLike, positive: Sequence[bool] | NDArray[np.bool_], threshold: float) -> float:
    """F1 of the class where it is said from ``threshold`` on."""
    values, truth = _checked(scores, positive)
    said = values >= threshold
    return float(2 * np.sum(said & truth) / (np.sum(said) + np.sum(truth)))


def best_threshold(scores: ArrayLike, positive: Sequence[bool] | NDArray[np.bool_], seed: int = 0) -> BestThreshold:
    """The best threshold by F1, found on one half and judged on the other.

    Raises:
        ValueError: as for :func:`precision_recall`, or fewer than two examples are of the class.
    """
    values, truth = _checked(scores, positive)
    if truth.sum() < 2:
        raise ValueError("Two examples of the class are needed: one to find the threshold with, one to judge it.")
    first = np.zeros(len(values), dtype=bool)
    random = np.random.default_rng(seed)
    for part in (np.flatnonzero(truth), np.flatnonzero(~truth)):  # half of the class, and half of the others
        first[random.permutation(part)[: len(part) // 2]] = True
    curve = precision_recall(values[first], truth[first])
    best = int(np.argmax(curve.f1))
    threshold = float(curve.thresholds[best])
    judged, usual = (f1_at(values[~first], truth[~first], each) for each in (threshold, 0.5))
    return BestThreshold(threshold, float(curve.f1[best]), judged, usual)


def _checked(scores: ArrayLike, positive: Sequence[bool] | NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    if values.shape != truth.shape:
        raise ValueError(f"{len(values)} scores and {len(truth)} labels were given: as many are needed.")
    if not truth.any():
        raise ValueError("No example is of the class.")
    if not np.isfinite(values).all():
        raise ValueError("A score is not a number.")
    return values, truth
