"""Figures of merit of language models, from sums over documents, with bootstrap intervals. Only numpy is needed.

A document is a unit: what is known of it are a few sums, and a metric is a function of those sums added up. So the
bootstrap draws documents, which are independent of each other, and never tokens, which are not.

==================  ================================================================================================
column of a table   of each document
==================  ================================================================================================
``nats``            sum of the losses of its predicted tokens, -ln p
``predicted``       how many tokens were predicted (15% of them where tokens are masked)
``right``           how many of them were predicted right
``tokens``          how many tokens can be predicted in it
``bytes``           its length in UTF-8
``pair_nats``       of pairs of sentences: sum of the losses of "does B follow A?"
``pairs``           how many pairs
``pairs_right``     how many of them were told right
==================  ================================================================================================

Bits per byte is the loss on a scale that knows no tokenizer: nats per predicted token x tokens per byte of the text,
over ln 2. A tokenizer of longer tokens has a larger loss per token and fewer of them. For a causal model it is the size
to which the model would compress the text, in bits for each byte of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.runs import scores

Floats = NDArray[np.float64]
Sums = Mapping[str, Any]

COLUMNS = ("nats", "predicted", "right", "tokens", "bytes")
PAIR_COLUMNS = ("pair_nats", "pairs", "pairs_right")
MOST_UNITS = 5_000  # more documents than this are added up to so many before the bootstrap draws from them
LARGEST_LOSS = 700.0  # exp() of more is infinite


def _per(above: Any, below: Any) -> Floats:
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    out: Floats = np.zeros(np.broadcast(above, below).shape)
    np.divide(above, below, out=out, where=below > 0)
    return out


def token_loss(sums: Sums) -> Floats:
    """Nats per predicted token."""
    return _per(sums["nats"], sums["predicted"])


def loss(sums: Sums) -> Floats:
    """What training lowers: nats per predicted token and, where there are pairs, nats per pair beside."""
    found = token_loss(sums)
    return found + _per(sums["pair_nats"], sums["pairs"]) if "pairs" in sums else found


def perplexity(sums: Sums) -> Floats:
    """Among how many equally probable tokens the model is as unsure: exp(nats per predicted token)."""
    return np.asarray(np.exp(np.minimum(token_loss(sums), LARGEST_LOSS)))


def bits_per_byte(sums: Sums) -> Floats:
    """Nats per predicted token x tokens per byte of the text, in bits."""
    return token_loss(sums) * _per(sums["tokens"], sums["bytes"]) / math.log(2)


def token_accuracy(sums: Sums) -> Floats:
    """Share of the predicted tokens whose most probable token is the right one."""
    return _per(sums["right"], sums["predicted"])


def pair_accuracy(sums: Sums) -> Floats:
    """Share of the pairs told right."""
    return _per(sums["pairs_right"], sums["pairs"])


METRICS: dict[str, Callable[[Sums], Floats]] = {
    "loss": loss,
    "perplexity": perplexity,
    "bits_per_byte": bits_per_byte,
    "token_accuracy": token_accuracy,
    "masked_accuracy": token_accuracy,
    "nsp_accuracy": pair_accuracy,
}
SMALLER_IS_BETTER = frozenset({"loss", "perplexity", "bits_per_byte"})
ACROSS_TOKENIZERS = frozenset({"bits_per_byte", "nsp_accuracy"})  # comparable between runs of different tokenizers


def totals(table: Mapping[str, Floats]) -> dict[str, Floats]:
    """The sums over all documents of columns [D]."""
    return {name: np.asarray(column, dtype=np.float64).sum() for name, column in table.items()}


def draws(table: Mapping[str, Floats], resamples: int, seed: int = 0) -> Iterator[dict[str, Floats]]:
    """Bootstrap samples of documents, as their sums, in chunks [chunk] of ``resamples`` in all.

    Args:
        table: columns [D]. Of more than ``MOST_UNITS`` documents every so many are one unit: the interval is nearly the
            same, and the time does not grow.
        resamples: how many samples.
        seed: of the drawing; tables of as many documents, drawn with one seed, are drawn alike (paired).
    """
    documents = len(next(iter(table.values())))
    unit = np.arange(documents) % MOST_UNITS
    units = min(documents, MOST_UNITS)
    matrix = np.stack([np.bincount(unit, weights=column, minlength=units) for column in table.values()], axis=1)
    for counts in scores.draw_cells(np.ones(units, dtype=np.int64), resamples, np.random.default_rng(seed)):
        yield dict(zip(table, (counts @ matrix).T, strict=True))


def intervals(
    table: Mapping[str, Floats], names: tuple[str, ...], resamples: int = 2000
) -> dict[str, dict[str, float]]:
    """Each metric of all documents, with its 95% percentile interval: ``{name: {"value", "low", "high"}}``."""
    whole = totals(table)
    chunks = list(draws(table, resamples)) if len(next(iter(table.values()))) else []
    found = {}
    for name in names:
        value = float(METRICS[name](whole))
        drawn = np.concatenate([METRICS[name](chunk) for chunk in chunks]) if chunks else np.array([value])
        low, high = scores.percentile_interval(drawn)
        found[name] = {"value": value, "low": low, "high": high}
    return found
