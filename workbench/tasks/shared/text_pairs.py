"""Pairs of similar texts: their targets, their positives, and the contrastive loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from workbench.data.examples import Examples
from workbench.data.text.tokens import TokenTable, tokenize
from workbench.errors import DataError
from workbench.tasks.contexts import Encoded
from workbench.types import IGNORE_INDEX, Bools, Floats, Ints, Tokenizer

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Pairs:
    """The pairs of a split.

    Attributes:
        texts: the texts to embed: two rows for each pair, the first and the second text, or a row for each labelled
            text.
        first, second: int64 [N], ids of each pair's first and second text; equal texts have equal ids. With labels,
            ``first`` is the id of the text and ``second`` the id of its label.
        score: float64 [N], similarity of the two texts, 0 to 1; None if the data has no scores.
        positive: bool [N], whether the pair counts as similar.
        members: with labels, the rows sorted by label; otherwise None.
        sampled: with labels, for each text that has both texts with the same label and texts with another label, one
            row of each kind, sampled once; int64 [n, 3], its own row first.
    """

    texts: TokenTable
    first: Ints
    second: Ints
    score: Floats | None
    positive: Bools
    members: Ints | None = None
    sampled: Ints | None = None

    @property
    def true_similarity(self) -> Floats | None:
        """The similarity of pairs, 0 to 1: their scores, [N]; 1 and 0 for sampled pairs, [n, 2]; or None."""
        if self.sampled is None or not len(self.sampled):
            return self.score
        return np.tile([1.0, 0.0], (len(self.sampled), 1))


def numbered(values: Sequence[str]) -> Ints:
    """Return an id for each value; equal values have equal ids.

    Args:
        values: texts or labels.
    """
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64)


def pair_scores(examples: Examples) -> Floats | None:
    """Return the scores of pairs, [N]; None if there are none.

    Args:
        examples: pairs.

    Raises:
        DataError: a score is outside 0 to 1.
    """
    values = examples.columns.get("score")
    if values is None:
        return None
    score = np.array(values, dtype=np.float64)
    outside = np.flatnonzero((score < 0) | (score > 1))
    if len(outside):
        raise DataError(
            f"{examples.locations()[outside[0]]}: the score is {score[outside[0]]:g}, but it must be from 0 to 1 "
            f"({len(outside):,} such rows).",
            "Divide the scores by the largest possible one.",
        )
    return score


def encode_labelled(tokenizer: Tokenizer, examples: Examples, max_length: int) -> Encoded:
    """Encode texts with labels; texts with the same label are each other's positives.

    Args:
        tokenizer: the model's tokenizer.
        examples: examples with the columns text and label.
        max_length: maximum length in tokens.
    """
    texts = tokenize(tokenizer, examples.columns["text"], max_length=max_length)
    label = numbered(examples.columns["label"])
    all_positive = np.ones(len(examples), dtype=bool)
    members = np.argsort(label, kind="stable")
    pairs = Pairs(texts, np.arange(len(examples)), label, None, all_positive, members)
    return Encoded(texts, replace(pairs, sampled=_sample_pairs(pairs)))


def sample_positives(pairs: Pairs, indices: Ints) -> Ints:
    """Return another text with the same label for each text, sampled with torch's generator.

    The only text with its label is its own positive: dropout makes the two vectors differ (Gao et al. 2021, section 3).

    Args:
        pairs: texts with labels.
        indices: rows of texts, [B].
    """
    import torch

    return _positives_and_negatives(pairs, indices, torch.randint(2**62, (len(indices),)).numpy())[0]


def _sample_pairs(pairs: Pairs) -> Ints:
    """Return ``Pairs.sampled``, deterministically for the same labels."""
    rows = np.arange(len(pairs.second))
    size = np.bincount(pairs.second)[pairs.second]
    usable = rows[(size > 1) & (size < len(rows))]
    generator = np.random.Generator(np.random.PCG64(0))
    same, other = _positives_and_negatives(pairs, usable, generator.integers(2**62, size=len(usable)))
    return np.stack([usable, same, other], axis=1)


def _positives_and_negatives(pairs: Pairs, indices: Ints, number: Ints) -> tuple[Ints, Ints]:
    """Return, for each text, a row with the same label and a row with another label, chosen by random numbers.

    The only text with its label is its own positive; with only one label, each text is also its own negative.
    """
    assert pairs.members is not None
    label, count = pairs.second, len(pairs.second)
    size = np.bincount(label)
    begin = np.cumsum(size) - size
    position = np.empty(count, dtype=np.int64)
    position[pairs.members] = np.arange(count) - begin[label[pairs.members]]
    own = label[indices]
    step = 1 + number % np.maximum(size[own] - 1, 1)
    same: Ints = pairs.members[begin[own] + (position[indices] + step) % size[own]]
    other: Ints = pairs.members[(begin[own] + size[own] + number % np.maximum(count - size[own], 1)) % count]
    return same, other


def contrastive_loss(
    first: torch.Tensor, second: torch.Tensor, labels: torch.Tensor, temperature: float, symmetric: bool = False
) -> torch.Tensor:
    """Return the mean cross-entropy of finding the second text of each first text in the batch (InfoNCE).

    Args:
        first: unit vectors, [B, D].
        second: unit vectors, [B, D]; row i of both is a pair.
        labels: [B, B]; 1 on the diagonal if the pair is learned; elsewhere 0 for a negative, and IGNORE_INDEX for pairs
            that are neither positive nor negative.
        temperature: divides the cosine similarities.
        symmetric: average with the loss of finding the first text of each second text.
    """
    import torch
    from torch.nn import functional

    rows = torch.arange(len(first), device=first.device)
    ignored = (labels == IGNORE_INDEX) & (rows[:, None] != rows)
    target = torch.where(labels.diagonal() == 1, rows, IGNORE_INDEX)
    count = (target != IGNORE_INDEX).sum().clamp(min=1)
    with torch.autocast(first.device.type, enabled=False):  # half precision is too coarse for cosines / temperature
        scores = (first.float() @ second.float().T / temperature).masked_fill(ignored, float("-inf"))
        loss = functional.cross_entropy(scores, target, ignore_index=IGNORE_INDEX, reduction="sum")
        if symmetric:
            back = functional.cross_entropy(scores.T, target, ignore_index=IGNORE_INDEX, reduction="sum")
            loss = (loss + back) / 2
    return loss / count
