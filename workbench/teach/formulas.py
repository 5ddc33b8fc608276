"""The mathematics behind the course's interactive pictures, as small pure functions of numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.types import Bools

Array = NDArray[np.float64]

DIVERGED = 1e3  # gradient descent has diverged once |x| reaches this

# For each word, the words that may follow it, with their probabilities.
NextWords = Mapping[str, Mapping[str, float]]


def attention_weights(scores: Array, temperature: float = 1.0, mask: Bools | None = None) -> Array:
    """Compute the softmax of ``scores / temperature``, with weight 0 where the mask is False.

    Args:
        scores: scores of queries and keys, ``[T, S]``.
        temperature: above 0; larger values make the weights more equal.
        mask: True where a query may attend, ``[T, S]``; at least once in each row.

    Returns:
        ``[T, S]``; each row sums to 1.
    """
    visible = np.where(True if mask is None else mask, scores / temperature, -np.inf)
    powers = np.exp(visible - visible.max(axis=-1, keepdims=True))  # subtracting the maximum avoids overflow
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def sinusoidal_table(positions: int, width: int, base: float = 10_000.0) -> Array:
    """Compute sinusoidal positions (Vaswani et al. 2017, section 3.5): component 2i is a sine, 2i + 1 a cosine.

    Args:
        positions: number of positions.
        width: width of the vectors.
        base: the larger, the slower the slowest wave.

    Returns:
        ``[positions, width]``.
    """
    angles = np.arange(positions)[:, None] * _frequencies(width, base)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(positions, width)


def rotate(vector: Array, position: float, base: float = 10_000.0) -> Array:
    """Rotate a query or key by its position (Su et al. 2021, arXiv 2104.09864).

    Component i of the first half and component i of the second half form an arrow. Each arrow rotates at its own speed.

    Args:
        vector: ``[K]``, K even.
        position: position of the token.
        base: the larger, the slower the slowest pair rotates.

    Returns:
        ``[K]``.
    """
    angles = position * _frequencies(len(vector), base)
    first, second = np.split(vector, 2)
    cosine, sine = np.cos(angles), np.sin(angles)
    return np.concatenate([first * cosine - second * sine, first * sine + second * cosine])


def _frequencies(width: int, base: float) -> Array:
    """Return the angle from one position to the next, for each pair of components: ``[width / 2]``."""
    return np.asarray(base ** (-np.arange(0, width, 2) / width))


def descent_losses(rates: Array, start: tuple[float, float] = (3.0, 10.0), slope: float = 0.02) -> Array:
    """Compute the losses of gradient descent on ``x⁴ / 4 + slope · y² / 2``, before the first step and after each.

    It resembles training in two ways: the start is steep (the curvature in x is 3x², 27 at the start), and what remains
    is flat (``slope`` in y). Small steps survive the start but never finish. Large steps would finish, but are
    thrown out of the valley at the start (Gilmer et al. 2021, arXiv 2110.04369).

    Args:
        rates: the learning rate of each step, ``[..., steps]``; earlier axes are separate training runs.
        start: x and y.
        slope: the curvature in y.

    Returns:
        ``[..., steps + 1]``; infinity after divergence.
    """
    x, y = (np.full(rates.shape[:-1], coordinate) for coordinate in start)
    losses = [x**4 / 4 + slope * y**2 / 2]
    for step in range(rates.shape[-1]):
        rate = rates[..., step]
        x = np.where(np.abs(x) < DIVERGED, x - rate * x**3, DIVERGED)
        y = y - rate * slope * y
        losses.append(np.where(np.abs(x) < DIVERGED, x**4 / 4 + slope * y**2 / 2, np.inf))
    return np.stack(losses, axis=-1)


@dataclass(frozen=True)
class Hypothesis:
    """The beginning of a sentence in a beam search.

    Attributes:
        words: words of the sentence, without the start.
        probability: the product over its words.
        selected: whether the search continued from it.
    """

    words: tuple[str, ...]
    probability: float
    selected: bool


def beam_search(follows: NextWords, width: int, length: int, start: str = "") -> list[list[Hypothesis]]:
    """Run a beam search.

    Args:
        follows: for each word, the words that may follow it, with probabilities; ``start`` stands for the beginning.
        width: number of hypotheses selected at each step; 1 is greedy search.
        length: number of steps.
        start: the word before the first.

    Returns:
        All hypotheses of each step, the most probable first.
    """
    selected, steps = [Hypothesis((), 1.0, True)], []
    for _ in range(length):
        extended = [
            ((*hypothesis.words, word), hypothesis.probability * probability)
            for hypothesis in selected
            for word, probability in follows.get((start, *hypothesis.words)[-1], {}).items()
        ]
        extended.sort(key=lambda pair: -pair[1])
        hypotheses = [Hypothesis(words, probability, i < width) for i, (words, probability) in enumerate(extended)]
        if not hypotheses:
            break
        steps.append(hypotheses)
        selected = [hypothesis for hypothesis in hypotheses if hypothesis.selected]
    return steps


def low_rank_approximation(matrix: Array, rank: int) -> Array:
    """Compute the nearest matrix of a rank, from the largest singular values (Eckart and Young 1936).

    Args:
        matrix: ``[m, n]``.
        rank: rank of the result.

    Returns:
        ``[m, n]``.
    """
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return np.asarray((left[:, :rank] * values[:rank]) @ right[:rank])


def rank_errors(matrix: Array) -> Array:
    """Compute the relative error of the nearest matrix of rank 0, 1, 2 ...: ``|matrix - nearest| / |matrix|``.

    Args:
        matrix: ``[m, n]``.

    Returns:
        ``[min(m, n) + 1]``, in Frobenius norms.
    """
    squares = np.linalg.svd(matrix, compute_uv=False) ** 2
    remaining = np.concatenate([np.cumsum(squares[::-1])[::-1], [0.0]])
    return np.asarray(np.sqrt(remaining / squares.sum()))


def low_rank_plus_noise(size: int, directions: int, noise: float, seed: int = 0) -> Array:
    """Generate a matrix with a few strong directions and noise.

    Args:
        size: size of the matrix.
        directions: number of strong directions.
        noise: standard deviation of the noise.
        seed: seed of the random numbers.

    Returns:
        ``[size, size]``.
    """
    random = np.random.default_rng(seed)
    strong = random.standard_normal((size, directions)) @ random.standard_normal((directions, size))
    return np.asarray(strong + noise * random.standard_normal((size, size)))
