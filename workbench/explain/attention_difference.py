"""The attention of two models on the same text, or of one model on two texts: what has moved, and which heads most."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import RequestError
from workbench.explain.capture import Attention, capture_attention


def divergence(first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """How differently each head looks: Jensen and Shannon's divergence in bits, 0 (alike) to 1 (nowhere the same).

    Args:
        first, second: [layers, heads, from token, to token], rows that sum to 1.

    Returns:
        [layers, heads], the mean over the tokens that attend.
    """
    p, q = (np.asarray(weights, dtype=np.float64) for weights in (first, second))
    middle = (p + q) / 2

    def relative_entropy(one: NDArray[np.float64]) -> NDArray[np.float64]:
        ratio = np.divide(one, middle, out=np.ones_like(one), where=one > 0)
        bits: NDArray[np.float64] = (one * np.log2(ratio)).sum(-1)
        return bits

    found: NDArray[np.float64] = ((relative_entropy(p) + relative_entropy(q)) / 2).mean(-1)
    return found


def difference(first: Attention, second: Attention) -> NDArray[np.float32]:
    """The second's weights less the first's, [layers, heads, from, to]: where more attention goes now.

    Raises:
        RequestError: the two are not over the same tokens, or not of the same layers and heads.
    """
    _check_alike(first, second)
    return second.weights - first.weights


def aligned(first: Attention, second: Attention) -> list[tuple[int | None, int | None]]:
    """Which token of the first text is which of the second, in order; None where there is none (a word changed)."""
    return aligned_tokens(first.tokens, second.tokens)


def aligned_tokens(first: Sequence[str], second: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """As :func:`aligned`, for tokens."""
    pairs: list[tuple[int | None, int | None]] = []
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    for what, a, b, c, d in matcher.get_opcodes():
        if what == "replace" and b - a == d - c:  # one word for another: they stand side by side
            what = "equal"
        if what == "equal":
            pairs += zip(range(a, b), range(c, d), strict=True)
        else:
            pairs += [(i, None) for i in range(a, b)] + [(None, j) for j in range(c, d)]
    return pairs


@dataclass(frozen=True)
class AttentionDivergence:
    """How far each head of one model looks elsewhere than the same head of another.

    Attributes:
        texts: over how many.
        moved: [layers][heads], bits from 0 to 1 (see :func:`divergence`).
        most: ``{"layer", "head", "divergence"}``, the head that moved most first.
    """

    texts: int
    moved: list[list[float]]
    most: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)

    def _repr_html_(self) -> str:
        from workbench.explain.render.maps import divergence_map
        from workbench.explain.render.report import notebook

        return notebook([], [divergence_map(self)])


def attention_divergence(
    first: Any,
    second: Any,
    tokenizer: Any,
    texts: Sequence[str],
    max_length: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> AttentionDivergence:
    """Which heads of ``second`` look elsewhere than those of ``first``: a fine-tuned model and its base, for instance.

    Args:
        first, second: two models of one tokenizer and shape.
        tokenizer: theirs.
        texts: that both read.
        max_length: of a text, in tokens.
        progress: told how many of how many are done.

    Raises:
        RequestError: there are no texts, or the models have not the same layers and heads.
    """
    if not texts:
        raise RequestError("There are no texts to compare heads on.", "Give a list of some.")
    total: NDArray[np.float64] | None = None
    for number, text in enumerate(texts):
        one, other = (capture_attention(model, tokenizer, text, max_length=max_length) for model in (first, second))
        _check_alike(one, other)
        found = divergence(one.weights, other.weights)
        total = found if total is None else total + found
        if progress is not None:
            progress(number + 1, len(texts))
    assert total is not None
    return divergence_over(total / len(texts), len(texts))


def divergence_over(moved: NDArray[np.float64], texts: int) -> AttentionDivergence:
    """What :func:`divergence` [layers, heads] has found over so many texts, the heads that moved most first."""
    places = sorted(np.ndindex(*moved.shape), key=lambda place: -float(moved[place]))
    most = [{"layer": a, "head": b, "divergence": float(moved[a, b])} for a, b in places]
    return AttentionDivergence(texts, [[float(value) for value in row] for row in moved], most)


def _check_alike(first: Attention, second: Attention) -> None:
    if first.tokens != second.tokens:
        raise RequestError(
            "The two are not over the same tokens.", "Compare two models that read with the same tokenizer."
        )
    if first.weights.shape != second.weights.shape:
        raise RequestError(
            f"One model has {first.layers} layers with {first.heads} heads, the other {second.layers} with "
            f"{second.heads}.",
            "Compare a model with one of the same shape, such as its base.",
        )
