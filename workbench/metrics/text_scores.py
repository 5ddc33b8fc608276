"""Figures of merit of language models, from sums over documents: :mod:`workbench.metrics.measures` with these columns.

A document is a unit: the bootstrap draws documents, which are independent of each other, and never tokens, which are
not.

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
to which the model would compress the text, in bits for each byte of it. That holds of a tokenizer from whose tokens the
text comes back. One that makes capitals small, or has one token for all that it does not know, leaves less to be
guessed: :func:`describe_lost_text` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from workbench.metrics.measures import Measure

COLUMNS = ("nats", "predicted", "right", "tokens", "bytes")
PAIR_COLUMNS = ("pair_nats", "pairs", "pairs_right")

_MEASURES: dict[str, Measure] = {
    "loss": ("loss", "nats", "predicted"),
    "perplexity": ("perplexity", "nats", "predicted"),
    "bits_per_byte": ("bits_per_byte", "nats", "predicted", "tokens", "bytes"),
    "token_accuracy": ("ratio", "right", "predicted"),
    "masked_accuracy": ("ratio", "right", "predicted"),
    "nsp_accuracy": ("ratio", "pairs_right", "pairs"),
}


def measures(names: Iterable[str]) -> dict[str, Measure]:
    """The measures of these names; the loss is that of both tasks where pairs are told too."""
    found = {name: _MEASURES[name] for name in names}
    if "nsp_accuracy" in found and "loss" in found:
        found["loss"] = (*_MEASURES["loss"], "pair_nats", "pairs")
    return found


LOSES_TEXT = "The tokenizer loses part of the text"


def describe_lost_text(tokenizer: Any) -> str:
    """What of a text does not come back from its tokens, for people; empty where nothing is lost, or nothing known.

    Args:
        tokenizer: a report's ``tokenizer``: ``unknown``, the share of tokens that stand for anything not known, and
            ``lowercase``.
    """
    found = tokenizer if isinstance(tokenizer, Mapping) else {}
    lost = [f"{found['unknown']:.2%} of its tokens are unknown"] if found.get("unknown") else []
    return " and ".join([*lost, *(["capitals are made small"] if found.get("lowercase") else [])])
