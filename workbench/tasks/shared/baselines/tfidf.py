"""TF-IDF with logistic regression: the baseline that a fine-tuned classifier has to beat.

It counts words and pairs of words, or up to three characters in scripts without spaces, and trains in seconds. A run
fits it on the examples that the model learned from, answers the same test examples, and reports the paired difference.

Source: Wang & Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification".
"""

from __future__ import annotations

import importlib.util
import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.types import Floats, Floats32, Ints

if TYPE_CHECKING:
    from scipy.sparse import spmatrix

MIN_EXAMPLES = 200  # fewer are not worth the second that it takes
MAX_EXAMPLES = 20_000  # more are sampled, so that it takes seconds
MAX_FEATURES = 50_000
CHARACTERS_PER_TEXT = 4_000  # the beginning of each text
MAX_VALUES = 5_000_000  # weights (features x labels); with more labels, the rarest features are left out

_WORDS = {"analyzer": "word", "ngram_range": (1, 2), "token_pattern": r"(?u)\w+|[^\w\s]"}

# Han, kana, Hangul, Thai, Lao, Khmer, Burmese: written without spaces between words, or with long words.
_NO_SPACES = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def is_available() -> bool:
    """Return whether scikit-learn is installed."""
    return importlib.util.find_spec("sklearn") is not None


def describe(texts: Sequence[str], model: str = "logistic regression") -> str:
    """Return the baseline's name, which depends on what it counts.

    Args:
        texts: the training texts.
        model: the model that reads the counts.
    """
    counted = "characters" if counts_characters(texts) else "words"
    return f"TF-IDF of {counted} with {model}, trained on the same examples"


def counts_characters(texts: Sequence[str]) -> bool:
    """Return whether characters are counted instead of words: in scripts without spaces.

    Args:
        texts: the training texts; a sample of them is read.
    """
    sample = "".join(text[:200] for text in texts[:: max(1, len(texts) // 500)])
    letters = sum(character.isalpha() for character in sample)
    return letters > 0 and len(_NO_SPACES.findall(sample)) / letters > 0.3


def predict_labels(train: Sequence[str], labels: Ints, texts: Sequence[str], n_labels: int) -> Ints:
    """Train on texts with one label each, and return the most likely label of other texts.

    Args:
        train: training texts, N.
        labels: their labels, [N], from 0 to ``n_labels`` - 1.
        texts: texts to classify, M.
        n_labels: number of labels.

    Returns:
        [M].
    """
    chosen = _sample(len(train))
    if len(np.unique(labels[chosen])) == 1:  # the sample of a large file can lack rare labels
        return np.full(len(texts), labels[chosen[0]])
    known, inputs = _features([train[i] for i in chosen], texts, n_labels)
    return _fit(known, labels[chosen]).predict(inputs)  # type: ignore[no-any-return, attr-defined]


def predict_label_sets(train: Sequence[str], labels: Floats32, texts: Sequence[str]) -> Floats:
    """Train one regression per label, and return the probability of each label for other texts.

    Args:
        train: training texts, N.
        labels: 1 where a label applies, [N, labels].
        texts: texts to classify, M.

    Returns:
        [M, labels].
    """
    chosen = _sample(len(train))
    known, inputs = _features([train[i] for i in chosen], texts, 2)
    probabilities = np.empty((len(texts), labels.shape[1]))
    for column, targets in enumerate(labels[chosen].T > 0.5):
        if targets.all() or not targets.any():
            probabilities[:, column] = targets[0]
        else:
            probabilities[:, column] = _fit(known, targets).predict_proba(inputs)[:, 1]  # type: ignore[attr-defined]
    return probabilities


def predict_numbers(train: Sequence[str], values: Floats, texts: Sequence[str]) -> Floats:
    """Train a ridge regression, and return its numbers for other texts.

    Args:
        train: training texts, N.
        values: their numbers, [N].
        texts: texts to predict, M.

    Returns:
        [M].
    """
    from sklearn.linear_model import Ridge

    chosen = _sample(len(train))
    known, inputs = _features([train[i] for i in chosen], texts, 2)
    numbers: Floats = Ridge(alpha=1.0).fit(known, values[chosen]).predict(inputs)
    return numbers


def _sample(count: int) -> Ints:
    """Return the indices to train on: all, or the same random ones each time."""
    if count <= MAX_EXAMPLES:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, MAX_EXAMPLES, replace=False))


def _features(train: Sequence[str], texts: Sequence[str], n_labels: int) -> tuple[spmatrix, spmatrix]:
    """Return the TF-IDF values of both, [N, features] and [M, features]."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    characters = counts_characters(train)
    vectorizer = TfidfVectorizer(
        **({"analyzer": "char", "ngram_range": (1, 3)} if characters else _WORDS),
        sublinear_tf=True,
        max_features=max(1_000, min(MAX_FEATURES, MAX_VALUES // max(2, n_labels))),
        dtype=np.float32,
    )
    try:
        known = vectorizer.fit_transform([text[:CHARACTERS_PER_TEXT] for text in train])
    except ValueError:  # no word at all
        vectorizer.set_params(analyzer="char", token_pattern=None)
        known = vectorizer.fit_transform([text[:CHARACTERS_PER_TEXT] or " " for text in train])
    return known, vectorizer.transform([text[:CHARACTERS_PER_TEXT] for text in texts])


def _fit(features: spmatrix, labels: Ints) -> object:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=10.0, max_iter=100, tol=1e-3).fit(features, labels)
