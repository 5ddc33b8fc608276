"""What each head does, in a number: how spread its attention is, how far it looks, which known pattern it follows.

Patterns: Clark et al. 2019, "What Does BERT Look At?" (previous token, first token, separator); Voita et al. 2019
(roles of heads); Olsson et al. 2022, "In-context Learning and Induction Heads" (same word, induction). A pattern is
measured over texts, never judged from a picture, and named only where a head follows it far more than even attention
would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import RequestError
from workbench.explain.capture import Attention, capture_attention

LEAST = 0.4  # of a head's attention must follow a pattern for the head to be named after it
LEAST_RATIO = 3.0  # and this many times what even attention gives to the same places
FEW = 20  # measured on fewer tokens than this, a pattern is not named


def entropy(weights: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """How spread the attention of each head is, in bits: 0 when on one token, log2(T) when even.

    Args:
        weights: [layers, heads, from token, to token].

    Returns:
        [layers, heads], the mean over the tokens that attend.
    """
    w = np.asarray(weights, dtype=np.float64)
    bits: NDArray[np.float64] = -(w * np.log2(np.where(w > 0, w, 1))).sum(-1).mean(-1)
    return bits


def distance(weights: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """How many tokens away each head looks: the mean of |i - j| under its attention, [layers, heads]."""
    place = np.arange(weights.shape[-1])
    apart = np.abs(place[:, None] - place[None])
    mean: NDArray[np.float64] = (np.asarray(weights, dtype=np.float64) * apart).sum(-1).mean(-1)
    return mean


# -- patterns -------------------------------------------------------------------------------------------------------
# Each gives [from, to]: True where a head that follows the pattern looks. Rows without any True are not measured.


def previous_token(attention: Attention) -> NDArray[np.bool_]:
    """The token before."""
    return np.eye(len(attention.tokens), k=-1, dtype=bool)


def next_token(attention: Attention) -> NDArray[np.bool_]:
    """The token after; a decoder has none."""
    return np.eye(len(attention.tokens), k=1, dtype=bool)


def first_token(attention: Attention) -> NDArray[np.bool_]:
    """The first token of all, from every other: [CLS], or where a decoder rests."""
    found = np.zeros((len(attention.tokens),) * 2, dtype=bool)
    found[1:, 0] = True
    return found


def separator(attention: Attention) -> NDArray[np.bool_]:
    """Special tokens other than the first ([SEP]), from the text's own tokens."""
    special = np.array(attention.special)
    there = special.copy()
    there[:1] = False
    return np.outer(~special, there)


def same_word(attention: Attention) -> NDArray[np.bool_]:
    """The same token at another place."""
    return _alike(attention) & ~np.eye(len(attention.tokens), dtype=bool)


def induction(attention: Attention) -> NDArray[np.bool_]:
    """What followed the same token earlier: from the second A of "A B ... A" to B."""
    earlier = np.tril(_alike(attention), -2)  # B must stand before the second A
    found = np.zeros_like(earlier)
    found[:, 1:] = earlier[:, :-1]
    return found


def _alike(attention: Attention) -> NDArray[np.bool_]:
    """[tokens, tokens]: True where two of the text's own tokens are the same."""
    _, number = np.unique(attention.tokens, return_inverse=True)
    own = ~np.array(attention.special)
    alike: NDArray[np.bool_] = (number[:, None] == number[None]) & np.outer(own, own)
    return alike


PATTERNS: dict[str, Callable[[Attention], NDArray[np.bool_]]] = {
    "previous token": previous_token,
    "next token": next_token,
    "first token": first_token,
    "separator": separator,
    "same word": same_word,
    "induction": induction,
}


@dataclass(frozen=True)
class HeadPatterns:
    """What the heads of a model do over a list of texts.

    Attributes:
        texts: how many there were.
        entropy: [layers][heads], bits. distance: [layers][heads], tokens.
        patterns: for each pattern [layers][heads], the share (0 to 1) of a token's attention that follows it.
        even: for each pattern, the share that even attention would give to the same places.
        measured: for each pattern, on how many tokens.
        named: for each head that follows one, ``{"layer", "head", "pattern", "share", "even"}``, the clearest first.
        notes: what a reader has to know.
    """

    texts: int
    entropy: list[list[float]]
    distance: list[list[float]]
    patterns: dict[str, list[list[float]]]
    even: dict[str, float]
    measured: dict[str, int]
    named: list[dict[str, Any]]
    notes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people: the heads that follow a pattern, the clearest first."""
        named = [
            f"{one['layer']}.{one['head']} {one['pattern']}: {one['share']:.0%} of its attention "
            f"(even attention: {one['even']:.0%})"
            for one in self.named
        ]
        told = f"{len(named)} heads follow a pattern, over {self.texts} texts (layer.head):"
        return [told, *named, *self.notes]

    def _repr_html_(self) -> str:
        from workbench.explain.render.maps import pattern_map
        from workbench.explain.render.report import notebook

        return notebook(self.notes, [pattern_map(self)])


def head_patterns(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    max_length: int | None = None,
    repeat: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> HeadPatterns:
    """Measure what every head of ``model`` does over ``texts``.

    Args:
        model, tokenizer: as :func:`~workbench.explain.capture.capture_attention` takes them.
        texts: what it reads.
        max_length: of a text, in tokens.
        repeat: read each text twice in a row: same word and induction then have much to be measured on.
        progress: told how many of how many are done.

    Raises:
        RequestError: there are no texts, or the model has no attention.
    """
    if not texts:
        raise RequestError("There are no texts to measure the heads on.", "Give a list of some.")
    read = [f"{text} {text}" if repeat else text for text in texts]
    captured = []
    for number, text in enumerate(read):
        captured.append(capture_attention(model, tokenizer, text, max_length=max_length))
        if progress is not None:
            progress(number + 1, len(read))
    return patterns_of(captured)


def patterns_of(attentions: Sequence[Attention]) -> HeadPatterns:
    """As :func:`head_patterns`, for attention that is captured already; all of one model."""
    shape = attentions[0].weights.shape[:2]
    spread, apart = np.zeros(shape), np.zeros(shape)
    share = {name: np.zeros(shape) for name in PATTERNS}
    even = dict.fromkeys(PATTERNS, 0.0)
    measured = dict.fromkeys(PATTERNS, 0)
    for attention in attentions:
        weights = attention.weights.astype(np.float64)
        spread += entropy(weights) / len(attentions)
        apart += distance(weights) / len(attentions)
        uniform = _even(attention)
        for name, places in PATTERNS.items():
            where = places(attention)
            if attention.is_causal:
                where = np.tril(where)
            rows = where.any(1)
            measured[name] += int(rows.sum())
            share[name] += (weights[:, :, rows] * where[rows]).sum((-1, -2))
            even[name] += float((uniform[rows] * where[rows]).sum())
    for name, count in measured.items():
        share[name] /= max(count, 1)
        even[name] /= max(count, 1)
    few = [name for name, count in measured.items() if count < FEW]
    notes = [f"Too few tokens to tell: {', '.join(few)}. More texts, or repeated ones, would."] if few else []
    return HeadPatterns(
        len(attentions),
        _lists(spread),
        _lists(apart),
        {name: _lists(found) for name, found in share.items()},
        even,
        measured,
        _named(share, even, [name for name in PATTERNS if name not in few]),
        notes,
    )


def _lists(values: NDArray[np.float64]) -> list[list[float]]:
    return [[float(value) for value in row] for row in values]


def _even(attention: Attention) -> NDArray[np.float64]:
    """Attention that treats all tokens alike, as far as the model may look."""
    count = len(attention.tokens)
    seen = np.tril(np.ones((count, count))) if attention.is_causal else np.ones((count, count))
    uniform: NDArray[np.float64] = seen / seen.sum(-1, keepdims=True)
    return uniform


def _named(share: dict[str, NDArray[np.float64]], even: dict[str, float], names: list[str]) -> list[dict[str, Any]]:
    found = []
    layers, heads = next(iter(share.values())).shape
    for layer, head in np.ndindex(layers, heads):
        for name in names:
            value = float(share[name][layer, head])
            if value >= LEAST and value >= LEAST_RATIO * even[name]:
                found.append(
                    {"layer": int(layer), "head": int(head), "pattern": name, "share": value, "even": even[name]}
                )
    return sorted(found, key=lambda one: -float(one["share"]))
