"""Labels of the data that are probably wrong, found by what a model says that has not been trained on them.

Confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels",
section 3.1): an example is counted as class j when the probability of j is at least as high as j's probability is on
average over the examples that bear the label j. Where that class is not the given label, the label is suspicious.

What it can tell: where to look first. What it cannot: whether the label or the model is wrong. A model that has learned
the data's own mistakes repeats them and finds none.
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
        index: of the example among all that were given.
        label: its label in the data.
        suggested: what it seems to be.
        margin: probability of the suggested label less that of the given one, -1 to 1.
    """

    index: int
    label: str
    suggested: str
    margin: float


def find_label_issues(probabilities: ArrayLike, given: Sequence[str], labels: Sequence[str]) -> list[LabelIssue]:
    """Examples whose label is probably wrong, the surest first.

    Args:
        probabilities: [N, C], of each class, by a model that was not trained on these examples.
        given: the label of each example in the data, [N].
        labels: the names of the classes, [C].

    Raises:
        ValueError: the shapes do not fit, a label is not among ``labels``, or a probability is no number.
    """
    table = np.asarray(probabilities, dtype=np.float64)
    if table.shape != (len(given), len(labels)):
        raise ValueError(f"Probabilities of the shape {(len(given), len(labels))} are needed, and not {table.shape}.")
    if not np.isfinite(table).all():
        raise ValueError("A probability is not a number.")
    number = {label: i for i, label in enumerate(labels)}
    unknown = sorted(set(given) - set(number))
    if unknown:
        raise ValueError(f"The label {unknown[0]!r} has no column of probabilities.")
    own = np.array([number[label] for label in given], dtype=np.int64)
    # A class that no example bears has no average, and is suggested to none.
    threshold = np.array([table[own == j, j].mean() if (own == j).any() else np.inf for j in range(len(labels))])
    passing = np.where(table >= threshold, table, -np.inf)
    found = []
    for place in np.flatnonzero(np.isfinite(passing).any(axis=1)) if len(table) else []:
        suggested = int(np.argmax(passing[place]))
        if suggested != own[place]:
            margin = float(table[place, suggested] - table[place, own[place]])
            found.append(LabelIssue(int(place), given[int(place)], labels[suggested], margin))
    return sorted(found, key=lambda one: (-one.margin, one.index))
