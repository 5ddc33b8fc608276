"""Which classes a run takes for which: the confusion matrix, the figures of each class, the examples behind a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.runs import scores


@dataclass(frozen=True)
class Confusion:
    """Examples counted by what they are and what was said of them.

    Attributes:
        labels: C names, sorted; every one that occurs as gold or as predicted.
        gold, predicted: class numbers [N].
        counts: [C, C], a row a gold class, a column a predicted class.
    """

    labels: tuple[str, ...]
    gold: NDArray[np.int64]
    predicted: NDArray[np.int64]
    counts: NDArray[np.int64]

    def places(self, gold: str, predicted: str) -> list[int]:
        """The examples of one cell, in the order given. Raises ValueError for a label that is not in here."""
        row, column = self.labels.index(gold), self.labels.index(predicted)
        return [int(i) for i in np.flatnonzero((self.gold == row) & (self.predicted == column))]

    def per_class(self) -> dict[str, dict[str, float]]:
        """``{label: {"precision", "recall", "f1", "support"}}``; 0 where a share has nothing below the line."""
        return scores.per_class(self.counts, self.labels)


def confusion(gold: Sequence[str], predicted: Sequence[str]) -> Confusion:
    """Count the examples of one run.

    Args:
        gold: the right label of each example [N].
        predicted: what the run said [N].

    Raises:
        ValueError: the two differ in length.
    """
    labels = tuple(sorted({*gold, *predicted}))
    number = {label: i for i, label in enumerate(labels)}
    rows, columns = (np.array([number[label] for label in part], dtype=np.int64) for part in (gold, predicted))
    return Confusion(labels, rows, columns, scores.confusion(rows, columns, len(labels)))
