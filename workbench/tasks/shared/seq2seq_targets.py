"""Targets and generated texts of the tasks that generate one text from another."""

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
    """What the metrics need to know of N rows.

    Attributes:
        sources: the source of each.
        references: the right texts for each, one or several; the loss is the first's.
        labels: the tokens that are predicted, for an encoder-decoder; None where they are in the rows.
        prompt: int64 [N], how many tokens of a row come before the target; 0 for an encoder-decoder.
        predicted: int64 [N], how many tokens are predicted.
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
        sums: loss in nats, predicted tokens, and how many of them are right, [W, 3].
    """

    chosen: Ints
    texts: list[str]
    sums: Array


def loss_columns(sums: Array, size: Ints) -> Counts:
    """Return the columns [N] of :mod:`workbench.metrics.text_scores`.

    Args:
        sums: loss in nats, predicted tokens, and how many of them are right, [N, 3].
        size: length of each target in UTF-8, [N].
    """
    nll, predicted, right = sums.astype(np.float64).T
    return {"nats": nll, "predicted": predicted, "right": right, "tokens": predicted, "bytes": size.astype(np.float64)}


def unigram_columns(targets: PairTargets, train: PairTargets) -> Counts:
    """Return the sums of a model that only knows how often each token occurs in training.

    Args:
        targets: targets of the split that is reported on.
        train: targets of the training split.
    """
    sums = np.array([list(unigram_sums(targets.counts, train.counts).values())])
    return loss_columns(sums, np.array([targets.bytes.sum()]))
