"""A small classifier that judges generated texts: naive Bayes over words and pairs of words.

It is fast to train and hard to beat on short texts (Wang and Manning 2012, "Baselines and Bigrams"). It is independent
of the model that it judges, and is trained on texts that the model has not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from workbench.metrics.overlap import rouge_tokens
from workbench.types import Ints


class BagOfWords:
    """Multinomial naive Bayes with add-one smoothing; a word or word pair counts once per text.

    Args:
        texts: N texts.
        labels: index of each text's label, [N].
        count: number of labels.
    """

    def __init__(self, texts: Sequence[str], labels: Sequence[int], count: int) -> None:
        self._index: dict[str, int] = {}
        rows = [[self._index.setdefault(each, len(self._index)) for each in features(text)] for text in texts]
        counts = np.ones((count, len(self._index)))
        for row, label in zip(rows, labels, strict=True):
            counts[label, row] += 1
        self._likelihood = np.log(counts / counts.sum(axis=1, keepdims=True))
        texts_by_label = np.bincount(np.asarray(labels, dtype=np.int64), minlength=count) + 1
        self._prior = np.log(texts_by_label / texts_by_label.sum())

    def predict(self, texts: Iterable[str]) -> Ints:
        """Return the index of each text's most probable label; without a known word, the most frequent label.

        Args:
            texts: any texts.
        """
        labels = []
        for text in texts:
            known = [self._index[each] for each in features(text) if each in self._index]
            labels.append(int((self._prior + self._likelihood[:, known].sum(axis=1)).argmax()))
        return np.array(labels, dtype=np.int64)


def features(text: str) -> set[str]:
    """Return the words of a text and its pairs of neighbouring words.

    Args:
        text: any text.
    """
    words = rouge_tokens(text, "unicode")
    return {*words, *(f"{a} {b}" for a, b in pairwise(words))}
