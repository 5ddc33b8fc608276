"""Confusion matrix of a run: which classes it predicts for which, and the examples behind each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.metrics import scores
from workbench.metrics.label_order import sort_labels
from workbench.types import Ints


@dataclass(frozen=True)
class ConfusionMatrix:
    """Examples counted by their gold class and their predicted class.

    Attributes:
        labels: C names, sorted; every one that occurs as gold or as predicted.
        gold: class indices [N].
        predicted: class indices [N].
        counts: [C, C], a row for each gold class, a column for each predicted class.
    """

    labels: tuple[str, ...]
    gold: Ints
    predicted: Ints
    counts: Ints

    def indices(self, gold: str, predicted: str) -> list[int]:
        """Return the indices of the examples in one cell, ascending.

        Args:
            gold: the gold label.
            predicted: the predicted label.

        Raises:
            ValueError: a label does not occur.
        """
        row, column = self.labels.index(gold), self.labels.index(predicted)
        return [int(i) for i in np.flatnonzero((self.gold == row) & (self.predicted == column))]

    def most_confused(self) -> list[tuple[str, str, int]]:
        """Return ``(gold, predicted, examples)`` of every kind of mistake, the most frequent first."""
        mistakes = self.counts * (1 - np.eye(len(self.labels), dtype=np.int64))
        rows, columns = np.nonzero(mistakes)
        cells = [(self.labels[i], self.labels[j], int(mistakes[i, j])) for i, j in zip(rows, columns, strict=True)]
        return sorted(cells, key=lambda cell: (-cell[2], cell[:2]))

    def worst(self, n_classes: int) -> ConfusionMatrix:
        """Return the matrix of the classes with the most mistakes, as gold or as predicted.

        Args:
            n_classes: how many classes to keep. Examples of other classes, and predictions of them, are left out.
        """
        if len(self.labels) <= n_classes:
            return self
        mistakes = self.counts.sum(axis=0) + self.counts.sum(axis=1) - 2 * self.counts.diagonal()
        selected = sorted(np.argsort(-mistakes, kind="stable")[:n_classes].tolist())
        new_index = np.full(len(self.labels), -1, dtype=np.int64)
        new_index[selected] = np.arange(len(selected))
        names = tuple(self.labels[i] for i in selected)
        counts = self.counts[np.ix_(selected, selected)]
        return ConfusionMatrix(names, new_index[self.gold], new_index[self.predicted], counts)

    def per_class(self) -> dict[str, dict[str, float]]:
        """Return ``{label: {"precision", "recall", "f1", "support"}}``; 0 where a share has nothing to divide by."""
        return scores.per_class(self.counts, self.labels)


def confusion_matrix(gold: Sequence[str], predicted: Sequence[str]) -> ConfusionMatrix:
    """Count the examples of one run.

    Args:
        gold: the right label of each example [N].
        predicted: the predicted label of each example [N].

    Raises:
        ValueError: the two differ in length.
    """
    labels = tuple(sort_labels([*gold, *predicted]))
    index = {label: i for i, label in enumerate(labels)}
    rows, columns = (np.array([index[label] for label in column], dtype=np.int64) for column in (gold, predicted))
    return ConfusionMatrix(labels, rows, columns, scores.confusion_matrix(rows, columns, len(labels)))
