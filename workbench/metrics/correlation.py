"""Rank correlation."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from workbench.types import Floats

Values: TypeAlias = NDArray[np.floating] | NDArray[np.integer]


def ranks(values: Values) -> Floats:
    """Rank values from 1; equal values have their mean rank.

    Args:
        values: [N].

    Returns:
        [N].
    """
    _, index, count = np.unique(values, return_inverse=True, return_counts=True)
    end = np.cumsum(count)
    middle: Floats = end - (count - 1) / 2
    return middle[index]


def rank_correlation(first: Values, second: Values) -> float | None:
    """Compute Spearman's rank correlation of all entries.

    Args:
        first: any shape.
        second: the same shape.

    Returns:
        -1 to 1; None where one of the two is constant.
    """
    a, b = ranks(first.ravel()), ranks(second.ravel())
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / spread if spread > 0 else None


def spearman(first: Values, second: Values) -> float:
    """Compute Spearman's rank correlation as a metric, which must be a number.

    Args:
        first: any shape.
        second: the same shape.

    Returns:
        -1 to 1; 0 where one of the two is constant.
    """
    return rank_correlation(first, second) or 0.0
