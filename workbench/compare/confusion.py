"""Which classes a run takes for which: the confusion matrix, the figures of each class, the examples behind a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.metrics import scores


@dataclass(frozen=True)
class ConfusionMatrix:
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

    def indices(self, gold: str, predicted: str) -> list[int]:
        """The examples of one cell, in the order given. Raises ValueError for a label that is not in here."""
        row, column = self.labels.index(gold), self.labels.index(predicted)
        return [int(i) for i in np.flatnonzero((self.gold == row) & (self.predicted == column))]

    def most_confused(self) -> list[tuple[str, str, int]]:
        """``(gold, predicted, examples)`` of every kind of mistake, the most frequent first."""
        wrong = self.counts * (1 - np.eye(len(self.labels), dtype=np.int64))
        rows, columns = np.nonzero(wrong)
        found = [(self.labels[i], self.labels[j], int(wrong[i, j])) for i, j in zip(rows, columns, strict=True)]
        return sorted(found, key=lambda one: (-one[2], one[:2]))

    def worst(self, most: int) -> ConfusionMatrix:
        """The same examples between ``most`` classes only: those with the most mistakes, as gold or as predicted.

        What is or was said to be of another class is left out of it.
        """
        if len(self.labels) <= most:
            return self
        mistakes = self.counts.sum(axis=0) + self.counts.sum(axis=1) - 2 * self.counts.diagonal()
        kept = sorted(np.argsort(-mistakes, kind="stable")[:most].tolist())
        number = np.full(len(self.labels), -1, dtype=np.int64)
        number[kept] = np.arange(len(kept))
        names = tuple(self.labels[i] for i in kept)
        return ConfusionMatrix(names, number[self.gold], number[self.predicted], self.counts[np.ix_(kept, kept)])

    def per_class(self) -> dict[str, dict[str, float]]:
        """``{label: {"precision", "recall", "f1", "support"}}``; 0 where a share has nothing below the line."""
        return scores.per_class(self.counts, self.labels)


def confusion_matrix(gold: Sequence[str], predicted: Sequence[str]) -> ConfusionMatrix:
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
    return ConfusionMatrix(labels, rows, columns, scores.confusion_matrix(rows, columns, len(labels)))
