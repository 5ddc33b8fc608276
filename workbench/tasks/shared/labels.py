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
from workbench.metrics import measures, scores
from workbench.metrics.label_order import sort_labels
from workbench.tasks.answers import ScoredLabels
from workbench.tasks.base import TargetScore, TaskReport
from workbench.tasks.contexts import Array
from workbench.tasks.shared.baselines import tfidf
from workbench.tuning.linear_models import HeadTargets
from workbench.types import Bools, Floats, Floats32, Ints

if TYPE_CHECKING:
    import torch

LABEL_GUESSES = (
    *("label", "category", "class", "sentiment", "intent", "target", "topic", "tag", "labels", "gold_label"),
    "is_duplicate",
)
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
    def balanced_weights(self, targets: Array, count: int) -> Floats32:
        """Return the weights that make each class count as much in the loss as any other; their mean over N is 1.

        Args:
            targets: targets of the training split, from ``encode``.
            count: number of labels, L.

        Returns:
            [L] or [L, 2]; see ``weighted_loss``.
        """

    @abstractmethod
    def weighted_loss(self, logits: torch.Tensor, targets: torch.Tensor, weights: Floats32) -> torch.Tensor:
        """Return the mean weighted loss.

        Args:
            logits: [B, L].
            targets: the batch's targets, [B] or [B, L].
            weights: the result of ``balanced_weights``.
        """

    @abstractmethod
    def head_targets(self, targets: Array, weights: Floats32 | None) -> HeadTargets:
        """Return what a linear head has to predict.

        Args:
            targets: targets of a split, from ``encode``.
            weights: the result of ``balanced_weights``; None if all examples count as much.
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

    @abstractmethod
    def simple_outputs(self, train: Sequence[str], texts: Sequence[str], train_targets: Array, count: int) -> Array:
        """Fit TF-IDF with logistic regression, and return the probabilities of each label, [M, labels].

        Args:
            train: the training texts, N.
            texts: the texts to classify, M.
            train_targets: targets of the training split.
            count: number of labels.
        """

    @abstractmethod
    def baseline_report(
        self, train: Sequence[str], texts: Sequence[str], train_targets: Array, targets: Array, outputs: Array
    ) -> TaskReport:
        """Fit TF-IDF with logistic regression, and return its metrics and the improvement over them.

        Args:
            train: the training texts, N.
            texts: the texts of the split that is reported on, M.
            train_targets: targets of the training split.
            targets: targets of the split that is reported on.
            outputs: probabilities of the model, [M, labels].

        Returns:
            ``baseline``, ``baseline_name`` and ``gain`` of the report.
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

    def balanced_weights(self, targets: Ints, count: int) -> Floats32:
        return balanced_class_weights(targets, count)

    def weighted_loss(self, logits: torch.Tensor, targets: torch.Tensor, weights: Floats32) -> torch.Tensor:
        return weighted_cross_entropy(logits, targets, weights)

    def head_targets(self, targets: Ints, weights: Floats32 | None) -> HeadTargets:
        return HeadTargets("classes", targets, None if weights is None else weights[targets])

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
            "gain": scores.paired_improvements(
                targets, np.full_like(targets, majority), outputs.argmax(axis=1), len(labels)
            ),
            "labels": labels,
            "confusion": confusion.tolist(),
            "per_class": scores.per_class(confusion, labels),
        }

    def simple_outputs(self, train: Sequence[str], texts: Sequence[str], train_targets: Ints, count: int) -> Array:
        return np.eye(count, dtype=np.float32)[tfidf.predict_labels(train, train_targets, texts, count)]

    def baseline_report(
        self, train: Sequence[str], texts: Sequence[str], train_targets: Ints, targets: Ints, outputs: Array
    ) -> TaskReport:
        count = outputs.shape[1]
        baseline = tfidf.predict_labels(train, train_targets, texts, count)
        return {
            "baseline": scores.class_scores(scores.confusion_matrix(targets, baseline, count)),
            "baseline_name": tfidf.describe(train),
            "gain": scores.paired_improvements(targets, baseline, outputs.argmax(axis=1), count),
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
        return Column(
            "label", "The labels of the text, separated by | or ;", ("labels", "tags", *LABEL_GUESSES), kind="labels"
        )

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

    def balanced_weights(self, targets: Floats32, count: int) -> Floats32:
        # [L, 2]: of an example without and with the label.
        positive = targets.mean(axis=0)
        shares = np.stack([1 - positive, positive], axis=1)
        weights: Floats32 = (0.5 / np.maximum(shares, 1 / (2 * len(targets)))).astype(np.float32)
        return weights

    def weighted_loss(self, logits: torch.Tensor, targets: torch.Tensor, weights: Floats32) -> torch.Tensor:
        import torch
        from torch.nn import functional

        without, with_label = torch.from_numpy(weights).to(logits.device).unbind(dim=1)
        losses = functional.binary_cross_entropy_with_logits(logits.float(), targets.float(), reduction="none")
        return (losses * torch.where(targets > 0.5, with_label, without)).mean()

    def head_targets(self, targets: Floats32, weights: Floats32 | None) -> HeadTargets:
        own = None if weights is None else np.where(targets > 0.5, weights[:, 1], weights[:, 0])
        return HeadTargets("label sets", targets, own)

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
            "gain": _label_gain(gold, majority, predicted),
            "labels": labels,
            "per_class": scores.per_label(scores.label_counts(gold, predicted), labels),
        }

    def simple_outputs(self, train: Sequence[str], texts: Sequence[str], train_targets: Floats32, count: int) -> Array:
        probabilities = tfidf.predict_label_sets(train, train_targets, texts)
        return np.where(probabilities >= 0.5, 1.0, 0.0)  # the threshold of the task is for its own model

    def baseline_report(
        self, train: Sequence[str], texts: Sequence[str], train_targets: Floats32, targets: Floats32, outputs: Array
    ) -> TaskReport:
        gold = targets > 0.5
        baseline = tfidf.predict_label_sets(train, train_targets, texts) >= 0.5
        return {
            "baseline": scores.label_scores(gold, baseline),
            "baseline_name": tfidf.describe(train),
            "gain": _label_gain(gold, baseline, outputs >= self.threshold),
        }


def balanced_class_weights(classes: Ints, count: int) -> Floats32:
    """Return N / (C x examples of the class) for each class, as scikit-learn's ``balanced``; 0 for a class without any.

    Args:
        classes: the class of each training example, [N].
        count: number of classes, C.
    """
    examples = np.bincount(classes, minlength=count)
    weights = len(classes) / ((examples > 0).sum() * np.maximum(examples, 1))
    return np.where(examples > 0, weights, 0).astype(np.float32)


def weighted_cross_entropy(logits: torch.Tensor, classes: torch.Tensor, weights: Floats32) -> torch.Tensor:
    """Return the mean of the examples' cross-entropies, each multiplied by the weight of its class.

    Unlike torch's own ``weight``, the sum is divided by the number of examples and not by the weights of the batch, so
    a batch of rare classes counts more.

    Args:
        logits: [B, C].
        classes: [B].
        weights: a weight for each class, [C].
    """
    import torch
    from torch.nn import functional

    losses = functional.cross_entropy(logits.float(), classes, reduction="none")
    return (losses * torch.from_numpy(weights).to(logits.device)[classes]).mean()


def _label_measures(count: int) -> measures.Measures:
    per_label = [f"{what}:{i}" for i in range(count) for what in ("hits", "predicted", "gold")]
    return {
        "accuracy": ("ratio", "right", "examples"),
        "micro_f1": ("f1", "hits", "predicted", "gold"),
        "macro_f1": ("macro_f1", *per_label),
    }


def _label_gain(gold: Bools, before: Bools, after: Bools) -> dict[str, dict[str, float]]:
    known = _label_measures(gold.shape[1])
    return measures.improvements(_label_columns(gold, before), _label_columns(gold, after), known)


def _label_columns(gold: Bools, predicted: Bools) -> dict[str, Floats]:
    """Return the numbers [N] of which the measures are sums."""
    parts = {"hits": gold & predicted, "predicted": predicted, "gold": gold}
    per_label = {f"{what}:{i}": part[:, i] for what, part in parts.items() for i in range(gold.shape[1])}
    sums = {what: part.sum(axis=1) for what, part in parts.items()}
    whole = {"right": (gold == predicted).all(axis=1), "examples": np.ones(len(gold))}
    return {name: np.asarray(values, dtype=np.float64) for name, values in {**per_label, **sums, **whole}.items()}


def _with_intervals(values: dict[str, float], intervals: dict[str, tuple[float, float]]) -> dict[str, dict[str, float]]:
    return {
        name: {"value": value, "low": intervals[name][0], "high": intervals[name][1]} for name, value in values.items()
    }
