"""The attention of two models on the same text, or of one model on two texts: how far apart, and in which heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from workbench.errors import RequestError
from workbench.explain.capture import Attention, capture_attention
from workbench.explain.display import HtmlDisplay
from workbench.explain.examples import NO_TEXTS
from workbench.types import Floats, Floats32, JsonObject, Model, Tokenizer


class DivergentHead(TypedDict):
    """A head and how differently it attends."""

    layer: int
    head: int
    divergence: float


@dataclass(frozen=True)
class AttentionDivergence(HtmlDisplay):
    """How differently each head of two models attends.

    Attributes:
        texts: the number of texts.
        divergence: [layers][heads], bits from 0 to 1; see :func:`jensen_shannon`.
        order: all heads, the most different first.
    """

    texts: int
    divergence: list[list[float]]
    order: list[DivergentHead]

    @classmethod
    def of(cls, divergence: Floats, texts: int) -> AttentionDivergence:
        """Rank the heads.

        Args:
            divergence: [layers, heads], the mean over texts.
            texts: the number of texts.
        """
        indices = sorted(np.ndindex(*divergence.shape), key=lambda index: -float(divergence[index]))
        order = [DivergentHead(layer=a, head=b, divergence=float(divergence[a, b])) for a, b in indices]
        return cls(texts, divergence.tolist(), order)

    def as_dict(self) -> JsonObject:
        """Return all fields, for JSON."""
        return asdict(self)


def jensen_shannon(first: NDArray[np.floating], second: NDArray[np.floating]) -> Floats:
    """Compute how differently each head attends: Jensen and Shannon's divergence in bits, 0 (same) to 1 (disjoint).

    Args:
        first: [layers, heads, from token, to token], rows that sum to 1.
        second: the same shape.

    Returns:
        [layers, heads], the mean over the tokens that attend.
    """
    p, q = (np.asarray(weights, dtype=np.float64) for weights in (first, second))
    middle = (p + q) / 2

    def relative_entropy(weights: Floats) -> Floats:
        ratio = np.divide(weights, middle, out=np.ones_like(weights), where=weights > 0)
        bits: Floats = (weights * np.log2(ratio)).sum(-1)
        return bits

    divergence: Floats = ((relative_entropy(p) + relative_entropy(q)) / 2).mean(-1)
    return divergence


def difference(first: Attention, second: Attention) -> Floats32:
    """Subtract the first's weights from the second's.

    Args:
        first: attention over some tokens.
        second: attention over the same tokens, of a model of the same shape.

    Returns:
        [layers, heads, from token, to token]; above 0 where the second attends more.

    Raises:
        RequestError: the two differ in tokens, layers or heads.
    """
    _check_comparable(first, second)
    return second.weights - first.weights


def attention_divergence(
    first: Model,
    second: Model,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    max_length: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> AttentionDivergence:
    """Find the heads that attend differently in two models, such as a fine-tuned model and its base.

    Args:
        first: a model.
        second: a model of the same shape.
        tokenizer: the tokenizer of both.
        texts: what both read.
        max_length: truncate each text to this many tokens.
        progress: receives the number of texts done, and of all.

    Raises:
        RequestError: there are no texts, or the models differ in layers or heads.
    """
    if not texts:
        raise RequestError(NO_TEXTS, "Pass at least one text.")
    divergences = []
    for number, text in enumerate(texts):
        one, other = (capture_attention(model, tokenizer, text, max_length=max_length) for model in (first, second))
        _check_comparable(one, other)
        divergences.append(jensen_shannon(one.weights, other.weights))
        if progress is not None:
            progress(number + 1, len(texts))
    return AttentionDivergence.of(np.sum(divergences, axis=0) / len(texts), len(texts))


def _check_comparable(first: Attention, second: Attention) -> None:
    if first.tokens != second.tokens:
        raise RequestError(
            "The two attentions are not over the same tokens.", "Compare two models with the same tokenizer."
        )
    if first.weights.shape != second.weights.shape:
        raise RequestError(
            f"One model has {first.layers} layers with {first.heads} heads, the other {second.layers} with "
            f"{second.heads}.",
            "Compare a model with one of the same shape, such as its base.",
        )
