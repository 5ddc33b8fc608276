"""Find labels of the data that are probably wrong, by the predictions of a model that was not trained on them.

Confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels",
section 3.1): an example is counted as class j when the probability of j is at least as high as it is on average over
the examples labelled j. Where that class is not the example's label, the label is suspicious.

The result says where to look first. It does not say whether the label or the model is wrong: a model that has learned
the mistakes in the data repeats them and finds none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class LabelIssue:
    """A label that may be wrong.

    Attributes:
        index: index of the example.
        label: its label in the data.
        suggested: the label that it seems to have.
        margin: probability of the suggested label minus that of the label in the data, -1 to 1.
    """

    index: int
    label: str
    suggested: str
    margin: float


def find_label_issues(probabilities: ArrayLike, assigned: Sequence[str], labels: Sequence[str]) -> list[LabelIssue]:
    """Find the examples whose label is probably wrong, the most certain first.

    Args:
        probabilities: [N, C], of each class, by a model that was not trained on these examples.
        assigned: the label of each example in the data, [N].
        labels: names of the classes, [C].

    Raises:
        ValueError: the shapes do not match, a label is not among ``labels``, or a probability is not a number.
    """
    table = np.asarray(probabilities, dtype=np.float64)
    if table.shape != (len(assigned), len(labels)):
        raise ValueError(f"The probabilities have the shape {table.shape} instead of {(len(assigned), len(labels))}.")
    if not np.isfinite(table).all():
        raise ValueError("A probability is not a number.")
    class_index = {label: i for i, label in enumerate(labels)}
    unknown = sorted(set(assigned) - set(class_index))
    if unknown:
        raise ValueError(f"The label {unknown[0]!r} has no column of probabilities.")
    own = np.array([class_index[label] for label in assigned], dtype=np.int64)
    # A class without examples has no average, and is never suggested.
    threshold = np.array([table[own == j, j].mean() if (own == j).any() else np.inf for j in range(len(labels))])
    passing = np.where(table >= threshold, table, -np.inf)
    issues = []
    for index in np.flatnonzero(np.isfinite(passing).any(axis=1)) if len(table) else []:
        suggested = int(np.argmax(passing[index]))
        if suggested != own[index]:
            margin = float(table[index, suggested] - table[index, own[index]])
            issues.append(LabelIssue(int(index), assigned[int(index)], labels[suggested], margin))
    return sorted(issues, key=lambda issue: (-issue.margin, issue.index))
