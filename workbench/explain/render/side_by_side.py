"""Two texts side by side: the tokens that both have, so that attention over the one can be laid over the other's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from workbench.errors import RequestError
from workbench.explain.attention_difference import aligned
from workbench.explain.capture import Attention

_BY_TOKEN = ("tokens", "shown", "offsets", "segments", "special", "words")


def align_attention(first: Attention, second: Attention) -> tuple[Attention, Attention]:
    """Both over the tokens that they share, or that stand in each other's place; these have both names.

    Rows then sum to less than 1 where tokens were left out, and a note says how many.

    Raises:
        RequestError: no token of the one is one of the other.
    """
    pairs = [(a, b) for a, b in aligned(first, second) if a is not None and b is not None]
    if not any(not first.special[a] for a, _ in pairs):
        raise RequestError("The two texts share no token that could be laid over the other's.", "See them one by one.")
    ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    names = [_name(first.shown[a], second.shown[b]) for a, b in pairs]
    left = len(first.tokens) + len(second.tokens) - 2 * len(pairs)
    what = "1 token that only one of the texts has is" if left == 1 else f"{left} tokens that only one text has are"
    notes = [f"{what} left out."] if left else []
    one = _only(first, ours)
    return replace(one, shown=names, notes=[*one.notes, *notes]), replace(_only(second, theirs), shown=names)


def _name(first: str, second: str) -> str:
    return first if first == second else f"{first} → {second}"


def _only(attention: Attention, places: Sequence[int]) -> Attention:
    chosen: dict[str, Any] = {
        name: [getattr(attention, name)[place] for place in places]
        for name in _BY_TOKEN
        if name != "words" or attention.words
    }
    return replace(attention, weights=attention.weights[:, :, places][..., places], **chosen)
