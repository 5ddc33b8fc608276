"""Sums over the tokens of rows: losses and correct predictions, also of the unigram baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.data.text.tokens import TokenTable
from workbench.tasks.contexts import Array
from workbench.types import IGNORE_INDEX, Bools, Ints, Tokenizer

if TYPE_CHECKING:
    import torch


SCORED_AT_ONCE = 4096  # predictions scored at once: the float32 logits of all of them would not fit into memory


def drops_capitals(tokenizer: Tokenizer) -> bool:
    """Return whether the tokenizer ignores case.

    Args:
        tokenizer: the model's tokenizer.
    """
    capital, small = (tokenizer.encode(letter, add_special_tokens=False) for letter in ("A", "a"))
    return bool(capital) and capital == small and tokenizer.unk_token_id not in capital


def row_sums(table: TokenTable, values: Array) -> Ints:
    """Sum values over each row, int64 [N].

    Args:
        table: N rows.
        values: values of the tokens, [total tokens].
    """
    ends = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    return np.asarray(ends[table.offsets[1:]] - ends[table.offsets[:-1]])


def first_tokens(table: TokenTable) -> Bools:
    """Return which tokens begin a document (or a chunk of one), [total tokens].

    Args:
        table: chunks, or rows that they were packed into.
    """
    first = np.zeros(len(table.ids), dtype=bool)
    first[table.offsets[:-1]] = True
    if table.documents is not None:
        first[1:] |= table.documents[1:] != table.documents[:-1]
    return first


def unigram_sums(counts: Ints, train_counts: Ints) -> dict[str, float]:
    """Return the sums of a unigram model of the training tokens (add-one smoothing).

    Args:
        counts: how often each token is predicted, [V].
        train_counts: the same in the training split.
    """
    nll = -np.log((train_counts + 1.0) / (train_counts.sum() + len(train_counts)))
    return {
        "nats": float((counts * nll).sum()),
        "predicted": float(counts.sum()),
        "right": float(counts[train_counts.argmax()]),
    }


def token_sums(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return, for each row, the sum of losses in nats, the number of labels and the number of correct predictions.

    Args:
        logits: [B, T, V], or [M, V] for the M positions with a label, in reading order.
        labels: [B, T]; IGNORE_INDEX at positions without a label.

    Returns:
        float64 [B, 3].
    """
    import torch
    from torch.nn import functional

    positions = (labels.flatten() != IGNORE_INDEX).nonzero().squeeze(1)
    rows, target = positions // labels.shape[1], labels.flatten()[positions]
    sums = torch.zeros(len(labels), 3, dtype=torch.float64)
    for chunk in torch.split(torch.arange(len(positions), device=labels.device), SCORED_AT_ONCE):
        scores = logits[chunk] if logits.dim() == 2 else logits.flatten(0, 1)[positions[chunk]]
        nll = functional.cross_entropy(scores.float(), target[chunk], reduction="none")
        correct = scores.argmax(dim=-1) == target[chunk]
        columns = torch.stack([nll.double(), torch.ones_like(nll).double(), correct.double()], dim=1)
        sums.index_add_(0, rows[chunk].cpu(), columns.cpu())
    return sums
