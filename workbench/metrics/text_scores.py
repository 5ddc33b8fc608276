"""Metrics of language models, from sums over documents: :mod:`workbench.metrics.measures` with these columns.

The unit is a document: the bootstrap resamples documents, which are independent of each other, and never tokens, which
are not.

==================  ================================================================================================
column of a table   for each document
==================  ================================================================================================
``nats``            negative log-likelihood of its targets, in nats
``predicted``       number of targets (15% of the tokens where tokens are masked)
``right``           number of targets that were predicted correctly
``tokens``          number of tokens that could be predicted
``bytes``           length in UTF-8
``pair_nats``       sum of the losses of next-sentence prediction
``pairs``           number of sentence pairs
``pairs_right``     number of pairs that were classified correctly
==================  ================================================================================================

Bits per byte is the loss on a scale that does not depend on the tokenizer: nats per predicted token x tokens per byte
of the text, over ln 2. A tokenizer with longer tokens has a larger loss per token and fewer tokens. For a causal model
it is the size to which the model would compress the text, in bits for each byte. This holds for a tokenizer whose
tokens can be decoded to the same text. One that lowercases, or has one token for everything unknown, leaves less to
predict: :func:`describe_lost_text` reports it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from workbench.metrics.measures import Measure
from workbench.types import Json

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
    """Return the measures of these names; with next-sentence prediction the loss is that of both objectives.

    Args:
        names: names of metrics.
    """
    selected = {name: _MEASURES[name] for name in names}
    if "nsp_accuracy" in selected and "loss" in selected:
        selected["loss"] = (*_MEASURES["loss"], "pair_nats", "pairs")
    return selected


LOSES_TEXT = "The tokenizer loses part of the text"


def describe_lost_text(tokenizer: Mapping[str, Json] | None) -> str:
    """Describe what is lost when a text is encoded and decoded; empty where nothing is, or nothing is known.

    Args:
        tokenizer: a report's field ``tokenizer``: ``unknown``, the share of unknown tokens, and ``lowercase``.
    """
    properties = tokenizer or {}
    lost = [f"{properties['unknown']:.2%} of its tokens are unknown"] if properties.get("unknown") else []
    return " and ".join([*lost, *(["it converts text to lower case"] if properties.get("lowercase") else [])])
