"""Targets and generated texts of the sequence-to-sequence tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.data.text.tokens import TokenTable
from workbench.metrics.overlap import Counts
from workbench.tasks.contexts import Array
from workbench.tasks.shared.token_sums import unigram_sums
from workbench.types import Ints


@dataclass(frozen=True)
class PairTargets:
    """The targets of N rows.

    Attributes:
        sources: the source of each.
        references: the reference texts of each, one or several; the loss is computed on the first.
        labels: the tokens to predict, for an encoder-decoder; None if they are part of the rows.
        prompt: int64 [N], number of tokens before the target in each row; 0 for an encoder-decoder.
        predicted: int64 [N], number of predicted tokens.
        bytes: int64 [N], length of the target in UTF-8.
        counts: int64 [V], how often each token is predicted: the unigram model.
    """

    sources: list[str]
    references: list[list[str]]
    labels: TokenTable | None
    prompt: Ints
    predicted: Ints
    bytes: Ints
    counts: Ints


@dataclass(frozen=True)
class GeneratedTexts:
    """The texts generated for W test examples.

    Attributes:
        chosen: the examples, int64 [W], ascending.
        texts: the text of each.
        sums: loss in nats, number of predicted tokens and number of correct ones, [W, 3].
    """

    chosen: Ints
    texts: list[str]
    sums: Array


def loss_columns(sums: Array, size: Ints) -> Counts:
    """Return the columns [N] of :mod:`workbench.metrics.text_scores`.

    Args:
        sums: loss in nats, number of predicted tokens and number of correct ones, [N, 3].
        size: length of each target in UTF-8, [N].
    """
    nll, predicted, right = sums.astype(np.float64).T
    return {"nats": nll, "predicted": predicted, "right": right, "tokens": predicted, "bytes": size.astype(np.float64)}


def unigram_columns(targets: PairTargets, train: PairTargets) -> Counts:
    """Return the sums of a unigram model of the training tokens.

    Args:
        targets: targets of the split that is reported on.
        train: targets of the training split.
    """
    sums = np.array([list(unigram_sums(targets.counts, train.counts).values())])
    return loss_columns(sums, np.array([targets.bytes.sum()]))
