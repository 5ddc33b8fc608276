"""A small classifier that judges what a model has written: naive Bayes over words and pairs of words.

Quick to train and hard to beat on short texts (Wang and Manning 2012, "Baselines and Bigrams"). It knows nothing of the
model that it judges, and learns from texts that the model has not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from workbench.metrics.overlap import rouge_tokens

Ints = NDArray[np.int64]


class BagOfWords:
    """Multinomial naive Bayes; a word or pair of words counts once in a text (add-one smoothing).

    Args:
        texts: N texts.
        labels: the number of each one's label, [N].
        count: how many labels there are.
    """

    def __init__(self, texts: Sequence[str], labels: Sequence[int], count: int) -> None:
        self._number: dict[str, int] = {}
        rows = [[self._number.setdefault(each, len(self._number)) for each in features(text)] for text in texts]
        seen = np.ones((count, len(self._number)))
        for row, label in zip(rows, labels, strict=True):
            seen[label, row] += 1
        self._likelihood = np.log(seen / seen.sum(axis=1, keepdims=True))
        there = np.bincount(np.asarray(labels, dtype=np.int64), minlength=count) + 1
        self._prior = np.log(there / there.sum())

    def predict(self, texts: Iterable[str]) -> Ints:
        """The number of the likeliest label of each text. Of a text without a known word it is the most frequent."""
        found = []
        for text in texts:
            known = [self._number[each] for each in features(text) if each in self._number]
            found.append(int((self._prior + self._likelihood[:, known].sum(axis=1)).argmax()))
        return np.array(found, dtype=np.int64)


def features(text: str) -> set[str]:
    """The words of a text, and each two that stand side by side."""
    words = rouge_tokens(text, "unicode")
    return {*words, *(f"{a} {b}" for a, b in pairwise(words))}
