"""What each head does over many texts: how spread its attention is, how far it looks, which known pattern it follows.

Patterns: Clark et al. 2019, "What Does BERT Look At?" (previous token, first token, separator); Voita et al. 2019
(roles of heads); Olsson et al. 2022, "In-context Learning and Induction Heads" (same word, induction). A pattern is
measured over texts, and named only where a head follows it far more than uniform attention would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from workbench.errors import RequestError
from workbench.explain.capture import Attention, capture_attention
from workbench.explain.display import HtmlDisplay
from workbench.explain.examples import NO_TEXTS
from workbench.i18n import N_, _
from workbench.types import Bools, Floats, JsonObject, Model, Tokenizer

MIN_SHARE = 0.4  # of a head's attention that must follow a pattern for the head to be named after it
MIN_RATIO = 3.0  # to the share of uniform attention
MIN_TOKENS = 20  # measured on fewer tokens, a pattern is not named


def entropy(weights: NDArray[np.floating]) -> Floats:
    """Compute how spread each head's attention is, in bits: 0 when on one token, log2(T) when uniform.

    Args:
        weights: [layers, heads, from token, to token].

    Returns:
        [layers, heads], the mean over the tokens that attend.
    """
    w = np.asarray(weights, dtype=np.float64)
    bits: Floats = -(w * np.log2(np.where(w > 0, w, 1))).sum(-1).mean(-1)
    return bits


def distance(weights: NDArray[np.floating]) -> Floats:
    """Compute how many tokens away each head looks: the mean of |i - j| under its attention.

    Args:
        weights: [layers, heads, from token, to token].

    Returns:
        [layers, heads].
    """
    position = np.arange(weights.shape[-1])
    apart = np.abs(position[:, None] - position[None])
    mean: Floats = (np.asarray(weights, dtype=np.float64) * apart).sum(-1).mean(-1)
    return mean


# -- patterns -------------------------------------------------------------------------------------------------------
# Each returns [from, to]: True where a head that follows the pattern looks. Rows without any True are not measured.


def _previous_token(attention: Attention) -> Bools:
    return np.eye(len(attention.tokens), k=-1, dtype=bool)


def _next_token(attention: Attention) -> Bools:
    return np.eye(len(attention.tokens), k=1, dtype=bool)


def _first_token(attention: Attention) -> Bools:
    """Return the first token, from every other: [CLS], or a decoder's attention sink."""
    pattern = np.zeros((len(attention.tokens),) * 2, dtype=bool)
    pattern[1:, 0] = True
    return pattern


def _separator(attention: Attention) -> Bools:
    """Return special tokens other than the first ([SEP]), from the text's own tokens."""
    special = np.array(attention.special)
    separators = special.copy()
    separators[:1] = False
    return np.outer(~special, separators)


def _same_word(attention: Attention) -> Bools:
    """Return other occurrences of the same token."""
    return _equal_tokens(attention) & ~np.eye(len(attention.tokens), dtype=bool)


def _induction(attention: Attention) -> Bools:
    """Return what followed the same token earlier: from the second A of "A B ... A" to B."""
    earlier = np.tril(_equal_tokens(attention), -2)  # B must come before the second A
    pattern = np.zeros_like(earlier)
    pattern[:, 1:] = earlier[:, :-1]
    return pattern


def _equal_tokens(attention: Attention) -> Bools:
    """Return [tokens, tokens]: True where two of the text's own tokens are equal."""
    number = np.unique(attention.tokens, return_inverse=True)[1]
    own = ~np.array(attention.special)
    equal: Bools = (number[:, None] == number[None]) & np.outer(own, own)
    return equal


PATTERNS: dict[str, Callable[[Attention], Bools]] = {
    N_("previous token"): _previous_token,
    N_("next token"): _next_token,
    N_("first token"): _first_token,
    N_("separator"): _separator,
    N_("same word"): _same_word,
    N_("induction"): _induction,
}


class NamedHead(TypedDict):
    """A head that follows a pattern: the share of its attention that does, and the share of uniform attention."""

    layer: int
    head: int
    pattern: str
    share: float
    even: float


@dataclass(frozen=True)
class HeadPatterns(HtmlDisplay):
    """The patterns that the heads of a model follow, over a list of texts.

    Attributes:
        texts: the number of texts.
        entropy: [layers][heads], bits.
        distance: [layers][heads], tokens.
        patterns: for each pattern [layers][heads], the share (0 to 1) of a token's attention that follows it.
        even: for each pattern, the share of uniform attention that follows it.
        measured: for each pattern, the number of tokens it was measured on.
        named: the heads that follow a pattern, the clearest first.
        notes: what readers should know, in English.
    """

    texts: int
    entropy: list[list[float]]
    distance: list[list[float]]
    patterns: dict[str, list[list[float]]]
    even: dict[str, float]
    measured: dict[str, int]
    named: list[NamedHead]
    notes: list[str]

    def as_dict(self) -> JsonObject:
        """Return all fields, for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return sentences: the heads that follow a pattern, the clearest first."""
        text = _("{layer}.{head} {pattern}: {share:.0%} of its attention (uniform attention: {even:.0%})")
        named = [text.format(**{**head, "pattern": _(head["pattern"])}) for head in self.named]
        heading = _("{n} heads follow a pattern, over {texts} texts (layer.head):")
        return [heading.format(n=len(named), texts=self.texts), *named, *self.remarks()]

    def remarks(self) -> list[str]:
        """Return the notes in the reader's language."""
        return _notes(self.measured, _)


def head_patterns(
    model: Model,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    max_length: int | None = None,
    repeat: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> HeadPatterns:
    """Measure the patterns that every head follows over texts.

    Args:
        model: a transformers model, or a peft model over one.
        tokenizer: its fast tokenizer.
        texts: what it reads.
        max_length: truncate each text to this many tokens.
        repeat: read each text twice in a row, which gives "same word" and "induction" more tokens to measure.
        progress: receives the number of texts done, and of all.

    Raises:
        RequestError: there are no texts, or the model has no attention.
    """
    if not texts:
        raise RequestError(NO_TEXTS, "Pass at least one text.")
    captured = []
    for number, text in enumerate(texts):
        read = f"{text} {text}" if repeat else text
        captured.append(capture_attention(model, tokenizer, read, max_length=max_length))
        if progress is not None:
            progress(number + 1, len(texts))
    return patterns_of(captured)


def patterns_of(attentions: Sequence[Attention]) -> HeadPatterns:
    """Measure patterns as :func:`head_patterns` does, of attention that is captured already.

    Args:
        attentions: attentions of one model, each over a text.
    """
    shape = attentions[0].weights.shape[:2]
    spread, apart = np.zeros(shape), np.zeros(shape)
    share: dict[str, Floats] = {name: np.zeros(shape) for name in PATTERNS}
    even = dict.fromkeys(PATTERNS, 0.0)
    measured = dict.fromkeys(PATTERNS, 0)
    for attention in attentions:
        weights = attention.weights.astype(np.float64)
        spread += entropy(weights) / len(attentions)
        apart += distance(weights) / len(attentions)
        uniform = _uniform(attention)
        for name, pattern_of in PATTERNS.items():
            pattern = np.tril(pattern_of(attention)) if attention.is_causal else pattern_of(attention)
            rows = pattern.any(1)
            measured[name] += int(rows.sum())
            share[name] += (weights[:, :, rows] * pattern[rows]).sum((-1, -2))
            even[name] += float((uniform[rows] * pattern[rows]).sum())
    for name, count in measured.items():
        share[name] /= max(count, 1)
        even[name] /= max(count, 1)
    return HeadPatterns(
        len(attentions),
        _rows(spread),
        _rows(apart),
        {name: _rows(values) for name, values in share.items()},
        even,
        measured,
        _named(share, even, [name for name in PATTERNS if measured[name] >= MIN_TOKENS]),
        _notes(measured, str),
    )


def _notes(measured: Mapping[str, int], translate: Callable[[str], str]) -> list[str]:
    """Return a note on the patterns that were measured on too few tokens."""
    few = [translate(name) for name, count in measured.items() if count < MIN_TOKENS]
    text = translate(N_("Too few tokens to measure: {patterns}. Use more texts, or repeat them."))
    return [text.format(patterns=", ".join(few))] if few else []


def _rows(values: Floats) -> list[list[float]]:
    return [[float(value) for value in row] for row in values]


def _uniform(attention: Attention) -> Floats:
    """Return attention that treats all tokens alike, as far as the model may look."""
    count = len(attention.tokens)
    allowed = np.tril(np.ones((count, count))) if attention.is_causal else np.ones((count, count))
    uniform: Floats = allowed / allowed.sum(-1, keepdims=True)
    return uniform


def _named(share: dict[str, Floats], even: dict[str, float], names: list[str]) -> list[NamedHead]:
    named = []
    layers, heads = next(iter(share.values())).shape
    for layer, head in np.ndindex(layers, heads):
        for name in names:
            value = float(share[name][layer, head])
            if value >= MIN_SHARE and value >= MIN_RATIO * even[name]:
                named.append(NamedHead(layer=int(layer), head=int(head), pattern=name, share=value, even=even[name]))
    return sorted(named, key=lambda entry: -entry["share"])
