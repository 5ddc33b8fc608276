"""A conditional random field on words and their shapes: the baseline that a tagger of names has to beat.

Each word is described by itself, its ending, its shape ("Aa" for a capitalized word), and its neighbours; characters
that are words of their own (Chinese) by themselves, their neighbours, and the pairs that they form. It trains in
seconds on the rows that the model learned from, and answers the same test rows.

Source: Lafferty, McCallum & Pereira 2001, "Conditional Random Fields"; trained with CRFsuite (Okazaki 2007).
"""

from __future__ import annotations

import importlib.util
import re
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from workbench.types import Ints

MAX_WORDS = 60_000  # of the training rows; of more, rows are sampled, so that it takes seconds
MAX_WORK = 1.0e10  # words x tags x tags x iterations: about ten seconds; with many tags, fewer words are read
ITERATIONS = 100
WORD_LENGTH = 30  # characters of a word that are read
ROW_LENGTH = 2_000  # words that are tagged at once; a longer row is divided

MIN_ROWS = 50  # with fewer, the baseline is each word's most frequent tag
NAME = "a conditional random field (CRF) on words and their shapes, trained on the same rows"

_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_RUN = re.compile(r"(.)\1+")


def is_available() -> bool:
    """Return whether python-crfsuite is installed."""
    return importlib.util.find_spec("pycrfsuite") is not None


def predict_tags(
    train: Sequence[Sequence[str]], tags: Sequence[Sequence[str]], rows: Sequence[Sequence[str]]
) -> list[list[str]]:
    """Train on rows of tagged words, and return the tags of other rows.

    Args:
        train: training rows, N.
        tags: a tag for each of their words, [N].
        rows: rows to tag, M.

    Returns:
        A tag for each word, [M].
    """
    import pycrfsuite

    characters = _are_characters(train)
    names = set(chain.from_iterable(tags))
    if len(names) == 1:
        return [[next(iter(names))] * len(row) for row in rows]
    trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params({"c1": 0.1, "c2": 0.1, "max_iterations": ITERATIONS, "period": 10, "delta": 1e-5})
    for i in _sample(train, len(names)):
        for start in range(0, len(train[i]), ROW_LENGTH):
            words = train[i][start : start + ROW_LENGTH]
            trainer.append(_features(words, characters), list(tags[i][start : start + ROW_LENGTH]))
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "model")
        trainer.train(file)
        tagger = pycrfsuite.Tagger()
        tagger.open(file)
        try:
            return [list(chain.from_iterable(_tagged(tagger, row, characters))) for row in rows]
        finally:
            tagger.close()


def _tagged(tagger: object, row: Sequence[str], characters: bool) -> Iterator[list[str]]:
    for start in range(0, len(row), ROW_LENGTH):
        yield tagger.tag(_features(row[start : start + ROW_LENGTH], characters))  # type: ignore[attr-defined]


def _are_characters(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the words are single characters, most of them."""
    lengths = [len(word) for row in rows[:500] for word in row[:100]]
    return bool(lengths) and float(np.mean(lengths)) < 1.5


def _sample(rows: Sequence[Sequence[str]], n_tags: int) -> Ints:
    """Return the indices of the rows to train on: all, or the same random ones each time."""
    room = min(MAX_WORDS, MAX_WORK / (n_tags**2 * ITERATIONS))
    lengths = np.array([len(row) for row in rows])
    if lengths.sum() <= room:
        return np.arange(len(rows))
    order = np.random.default_rng(0).permutation(len(rows))
    chosen = order[np.cumsum(lengths[order]) <= room]
    return np.sort(chosen if len(chosen) else order[:1])


def _features(words: Sequence[str], characters: bool) -> list[list[str]]:
    """Return the features of each word of a row."""
    short = [word[:WORD_LENGTH] for word in words]
    shapes = [word_shape(word) for word in short]
    lower = ["<s>", "<s>", *(word.lower() for word in short), "</s>", "</s>"]
    result = []
    for i, word in enumerate(short):
        before2, before, this, after, after2 = lower[i : i + 5]
        features = [
            "bias",
            f"0={this}",
            f"-1={before}",
            f"+1={after}",
            f"s={shapes[i]}",
            f"-s={shapes[i - 1] if i else ''}",
            f"+s={shapes[i + 1] if i + 1 < len(short) else ''}",
        ]
        if characters:
            features += [f"-2={before2}", f"+2={after2}", f"-10={before}{this}", f"01={this}{after}"]
            features += [f"-2-1={before2}{before}", f"12={after}{after2}"]
        else:
            features += [f"e3={word[-3:]}", f"e2={word[-2:]}", f"b3={word[:3]}"]
        result.append(features)
    return result


def word_shape(word: str) -> str:
    """Return the shape of a word: A for a capital, a for another letter, 0 for a digit, runs as one.

    Args:
        word: ``"Mary-Ann2024"``, say, whose shape is ``"Aa-Aa0"``.
    """
    return _RUN.sub(r"\1", _LETTER_OR_DIGIT.sub(lambda match: _sign(match[0]), word))


def _sign(character: str) -> str:
    if character.isdigit():
        return "0"
    return "A" if character.isupper() else "a"
