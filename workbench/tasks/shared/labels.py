"""Single-label and multi-label classification: exactly one label for each text, or any number of labels.

single-label    softmax over the head's logits, cross-entropy
multi-label     a sigmoid for each label, binary cross-entropy; a label applies at or above a threshold
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from workbench.data.columns import Column
from workbench.errors import DataError
from workbench.metrics import scores
from workbench.metrics.label_order import sort_labels
from workbench.tasks.answers import ScoredLabels
from workbench.tasks.base import TargetScore, TaskReport
from workbench.tasks.contexts import Array
from workbench.types import Floats32, Ints

if TYPE_CHECKING:
    import torch

LABEL_GUESSES = ("label", "category", "class", "sentiment", "intent", "target", "topic", "tag")
LABEL_SEPARATOR = "|"  # between the labels of one example in predictions


class Labelling(ABC):
    """A kind of labels: the values of the label column, and the conversion of outputs to answers and metrics."""

    problem_type: ClassVar[str]  # the name in transformers, which selects the loss
    primary_metric: ClassVar[str]

    @abstractmethod
    def column(self) -> Column:
        """Return the column with the labels."""

    @abstractmethod
    def names(self, values: Sequence[Any], known: Sequence[str] = ()) -> list[str]:
        """Return the labels of the training split in their order (:func:`workbench.metrics.label_order.sort_labels`).

        Args:
            values: values of the label column.
            known: an order of the same labels that a model has learned.

        Raises:
            DataError: nothing can be learned from these labels.
        """

    @abstractmethod
    def encode(self, values: Sequence[Any], labels: Sequence[str]) -> Array:
        """Return the targets of N examples.

        Args:
            values: values of the label column, [N].
            labels: the known labels.
        """

    @abstractmethod
    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the probability of each label.

        Args:
            logits: float [B, labels].
        """

    @abstractmethod
    def target_score(self, logits: torch.Tensor, index: int) -> TargetScore:
        """Return the score of one label.

        Args:
            logits: [B, labels].
            index: index of the label.
        """

    @abstractmethod
    def decode(self, probabilities: dict[str, float]) -> ScoredLabels:
        """Return the answer.

        Args:
            probabilities: probabilities of each label.
        """

    @abstractmethod
    def gold_text(self, value: Any) -> str:
        """Return the correct answer as it is stored in predictions.

        Args:
            value: value of the label column.
        """

    @abstractmethod
    def answer_text(self, answer: ScoredLabels) -> str:
        """Return an answer as it is stored in predictions.

        Args:
            answer: an answer from ``decode``.
        """

    @abstractmethod
    def confusion(self, outputs: Array, targets: Array, count: int) -> Ints | None:
        """Return the confusion matrix, [labels, labels]; None if an example can have several labels.

        Args:
            outputs: probabilities, [N, labels].
            targets: targets from ``encode``.
            count: number of labels.
        """

    @abstractmethod
    def metrics(self, outputs: Array, targets: Array) -> dict[str, float]:
        """Return the metrics of a split.

        Args:
            outputs: probabilities, [N, labels].
            targets: targets from ``encode``.
        """

    @abstractmethod
    def report(self, outputs: Array, targets: Array, train_targets: Array, labels: list[str]) -> TaskReport:
        """Return the task's part of the report.

        Args:
            outputs: probabilities, [N, labels].
            targets: targets of the split that is reported on.
            train_targets: targets of the training split.
            labels: names of the labels.
        """


class SingleLabel(Labelling):
    """Each example has exactly one label."""

    problem_type = "single_label_classification"
    primary_metric = "accuracy"

    def column(self) -> Column:
        return Column("label", "The label of the text.", LABEL_GUESSES, kind="label")

    def names(self, values: Sequence[str], known: Sequence[str] = ()) -> list[str]:
        names = sort_labels(values, known)
        if len(names) < 2:
            raise DataError(f"The training data has only one class: {names}.", "At least two classes are needed.")
        return names

    def encode(self, values: Sequence[str], labels: Sequence[str]) -> Ints:
        index = {label: i for i, label in enumerate(labels)}
        return np.array([index[label] for label in values], dtype=np.int64)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.softmax(dim=-1)

    def target_score(self, logits: torch.Tensor, index: int) -> TargetScore:
        return TargetScore.choice(logits, index)

    def decode(self, probabilities: dict[str, float]) -> ScoredLabels:
        return ScoredLabels.of(probabilities)

    def gold_text(self, value: str) -> str:
        return value

    def answer_text(self, answer: ScoredLabels) -> str:
        return answer.label

    def confusion(self, outputs: Array, targets: Ints, count: int) -> Ints:
        return scores.confusion_matrix(targets, outputs.argmax(axis=1), count)

    def metrics(self, outputs: Array, targets: Ints) -> dict[str, float]:
        return scores.class_scores(self.confusion(outputs, targets, outputs.shape[1]))

    def report(self, outputs: Array, targets: Ints, train_targets: Ints, labels: list[str]) -> TaskReport:
        confusion = self.confusion(outputs, targets, len(labels))
        majority = np.bincount(train_targets, minlength=len(labels)).argmax()
        always = scores.confusion_matrix(targets, np.full_like(targets, majority), len(labels))
        return {
            "metrics": _with_intervals(scores.class_scores(confusion), scores.bootstrap_intervals(confusion)),
            "baseline": scores.class_scores(always),
            "baseline_name": f"always {labels[majority]!r} (most frequent in training)",
            "labels": labels,
            "confusion": confusion.tolist(),
            "per_class": scores.per_class(confusion, labels),
        }


class MultiLabel(Labelling):
    """Each example has any number of labels, or none.

    Args:
        threshold: the lowest probability at which a label applies.
    """

    problem_type = "multi_label_classification"
    primary_metric = "macro_f1"

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def column(self) -> Column:
        return Column("label", "The labels of the text, separated by | or ;", ("labels", *LABEL_GUESSES), kind="labels")

    def names(self, values: Sequence[Sequence[str]], known: Sequence[str] = ()) -> list[str]:
        names = sort_labels(chain.from_iterable(values), known)
        ambiguous = [name for name in names if LABEL_SEPARATOR in name]
        if ambiguous:
            raise DataError(
                f"The label {ambiguous[0]!r} contains '|', which separates labels.",
                "Rename the label.",
            )
        if not names:
            raise DataError("The training data has no labels.", "Check the column that is mapped to 'label'.")
        return names

    def encode(self, values: Sequence[Sequence[str]], labels: Sequence[str]) -> Floats32:
        index = {label: i for i, label in enumerate(labels)}
        targets = np.zeros((len(values), len(labels)), dtype=np.float32)
        for row, own in enumerate(values):
            targets[row, [index[label] for label in own]] = 1
        return targets

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.sigmoid()

    def target_score(self, logits: torch.Tensor, index: int) -> TargetScore:
        logit = logits.float()[:, index]
        return TargetScore(logit, logit.sigmoid())

    def decode(self, probabilities: dict[str, float]) -> ScoredLabels:
        return ScoredLabels.of(probabilities, self.threshold)

    def gold_text(self, value: Sequence[str]) -> str:
        return LABEL_SEPARATOR.join(sorted(value))

    def answer_text(self, answer: ScoredLabels) -> str:
        return LABEL_SEPARATOR.join(sorted(answer.labels or ()))

    def confusion(self, outputs: Array, targets: Floats32, count: int) -> None:
        return None

    def metrics(self, outputs: Array, targets: Floats32) -> dict[str, float]:
        return scores.label_scores(targets > 0.5, outputs >= self.threshold)

    def report(self, outputs: Array, targets: Floats32, train_targets: Floats32, labels: list[str]) -> TaskReport:
        gold, predicted = targets > 0.5, outputs >= self.threshold
        majority = np.broadcast_to(train_targets.mean(axis=0) >= 0.5, gold.shape)
        intervals = scores.bootstrap_label_intervals(gold, predicted)
        return {
            "metrics": _with_intervals(scores.label_scores(gold, predicted), intervals),
            "baseline": scores.label_scores(gold, majority),
            "baseline_name": "the labels that more than half of the training examples have",
            "labels": labels,
            "per_class": scores.per_label(scores.label_counts(gold, predicted), labels),
        }


def _with_intervals(values: dict[str, float], intervals: dict[str, tuple[float, float]]) -> dict[str, dict[str, float]]:
    return {
        name: {"value": value, "low": intervals[name][0], "high": intervals[name][1]} for name, value in values.items()
    }
