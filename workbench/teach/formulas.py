"""The mathematics that the course's widgets move, each as a small pure function of numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FAR = 1e3  # from here a descent has exploded

# What may follow a word, with its probability.
Follows = Mapping[str, Mapping[str, float]]


def attention_weights(scores: Array, temperature: float = 1.0, mask: NDArray[np.bool_] | None = None) -> Array:
    """Softmax of ``scores / temperature``; weight 0 where the mask says no.

    Args:
        scores: of queries and keys, ``[T, S]``.
        temperature: above 0; larger makes the weights more even.
        mask: True where a query may look, ``[T, S]``; at least one place in each row.
    """
    shown = np.where(True if mask is None else mask, scores / temperature, -np.inf)
    powers = np.exp(shown - shown.max(axis=-1, keepdims=True))  # less the largest: no overflow, the same shares
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def wave_table(places: int, width: int, base: float = 10_000.0) -> Array:
    """The waves of Vaswani et al. 2017, section 3.5: number 2i is a sine, 2i + 1 a cosine; ``[places, width]``."""
    angles = np.arange(places)[:, None] * _frequencies(width, base)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(places, width)


def turned(vector: Array, place: float, base: float = 10_000.0) -> Array:
    """A query or key turned by its place (Su et al. 2021, arXiv 2104.09864).

    A pair, which is number i of the first half and number i of the second, is an arrow; each turns at its own speed.

    Args:
        vector: ``[K]``, K even.
        place: of the token.
        base: how slow the slowest pair turns.
    """
    angles = place * _frequencies(len(vector), base)
    first, second = np.split(vector, 2)
    cosine, sine = np.cos(angles), np.sin(angles)
    return np.concatenate([first * cosine - second * sine, first * sine + second * cosine])


def _frequencies(width: int, base: float) -> Array:
    """The angle from one place to the next, for each pair of numbers: ``[width / 2]``."""
    return np.asarray(base ** (-np.arange(0, width, 2) / width))


def descent(rates: Array, start: tuple[float, float] = (3.0, 10.0), slope: float = 0.02) -> Array:
    """Losses of gradient descent on ``x⁴ / 4 + slope · y² / 2``, before the first step and after each.

    It stands for training in two ways: the start is steep (the curvature in x is 3x², 27 at the start), and what is
    left to do then is flat (``slope`` in y). Small steps survive the start but never finish; large ones finish, but
    are thrown out of the valley at the start (Gilmer et al. 2021, arXiv 2110.04369).

    Args:
        rates: the learning rate of each step, ``[..., steps]``; the axes before are other trainings.
        start: x and y.
        slope: the curvature in y.

    Returns:
        ``[..., steps + 1]``; infinity from where it has exploded.
    """
    x, y = (np.full(rates.shape[:-1], place) for place in start)
    losses = [x**4 / 4 + slope * y**2 / 2]
    for step in range(rates.shape[-1]):
        rate = rates[..., step]
        x = np.where(np.abs(x) < FAR, x - rate * x**3, FAR)
        y = y - rate * slope * y
        losses.append(np.where(np.abs(x) < FAR, x**4 / 4 + slope * y**2 / 2, np.inf))
    return np.stack(losses, axis=-1)


@dataclass(frozen=True)
class Path:
    """A beginning of a sentence, as a search has it.

    Attributes:
        words: without the start.
        probability: the product over its words.
        kept: whether the search went on from it.
    """

    words: tuple[str, ...]
    probability: float
    kept: bool


def beam_search(follows: Follows, width: int, length: int, start: str = "") -> list[list[Path]]:
    """All paths that a beam search looked at, one list a step, the most probable first.

    Args:
        follows: for each word what may follow it, with probabilities; ``start`` stands for the beginning.
        width: how many paths are kept at each step; 1 is greedy.
        length: steps.
        start: the word before the first.
    """
    kept, steps = [Path((), 1.0, True)], []
    for _ in range(length):
        tried = [
            ((*path.words, word), path.probability * probability)
            for path in kept
            for word, probability in follows.get((start, *path.words)[-1], {}).items()
        ]
        tried.sort(key=lambda one: -one[1])
        paths = [Path(words, probability, place < width) for place, (words, probability) in enumerate(tried)]
        if not paths:
            break
        steps.append(paths)
        kept = [path for path in paths if path.kept]
    return steps


def best_of_rank(matrix: Array, rank: int) -> Array:
    """The matrix of that rank nearest to ``matrix``, by its largest singular values (Eckart and Young 1936)."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return np.asarray((left[:, :rank] * values[:rank]) @ right[:rank])


def rank_errors(matrix: Array) -> Array:
    """What the nearest matrix of rank 0, 1, 2 ... lacks: ``|matrix - nearest| / |matrix|``, Frobenius norms."""
    squares = np.linalg.svd(matrix, compute_uv=False) ** 2
    left_over = np.concatenate([np.cumsum(squares[::-1])[::-1], [0.0]])
    return np.asarray(np.sqrt(left_over / squares.sum()))


def weak_and_strong(size: int, directions: int, noise: float, seed: int = 0) -> Array:
    """A change with some strong directions and noise: ``[size, size]``."""
    draw = np.random.default_rng(seed)
    strong = draw.standard_normal((size, directions)) @ draw.standard_normal((directions, size))
    return np.asarray(strong + noise * draw.standard_normal((size, size)))
