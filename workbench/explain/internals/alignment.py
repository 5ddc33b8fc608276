"""Alignment of two texts: which tokens they share, so that attention over one can be compared with the other's."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

from workbench.errors import RequestError
from workbench.explain.capture import Attention
from workbench.i18n import ngettext


def align_tokens(first: Sequence[str], second: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """Align two sequences of tokens.

    Args:
        first: tokens.
        second: tokens.

    Returns:
        Pairs of positions in order; None where a token has no counterpart. Tokens that replace as many others are
        paired.
    """
    pairs: list[tuple[int | None, int | None]] = []
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    for operation, a, b, c, d in matcher.get_opcodes():
        if operation == "equal" or (operation == "replace" and b - a == d - c):
            pairs += zip(range(a, b), range(c, d), strict=True)
        else:
            pairs += [(i, None) for i in range(a, b)] + [(None, j) for j in range(c, d)]
    return pairs


def align_attention(first: Attention, second: Attention) -> tuple[Attention, Attention]:
    """Restrict two attentions to the tokens that are the same or replace each other; aligned tokens have both names.

    Rows then sum to less than 1 where tokens were left out, and a note says how many.

    Args:
        first: attention over one text.
        second: attention over another.

    Raises:
        RequestError: the texts share no token.
    """
    pairs = [(a, b) for a, b in align_tokens(first.tokens, second.tokens) if a is not None and b is not None]
    if all(first.special[pair[0]] for pair in pairs):
        raise RequestError("The two texts share no token to align.", "View them one at a time.")
    names = [joint_name(first.shown[a], second.shown[b]) for a, b in pairs]
    unpaired = len(first.tokens) + len(second.tokens) - 2 * len(pairs)
    notes = list(first.notes)
    if unpaired:
        text = ngettext("{n} unpaired token is left out.", "{n} unpaired tokens are left out.", unpaired)
        notes.append(text.format(n=unpaired))
    one = replace(first.at([pair[0] for pair in pairs]), shown=names, notes=notes)
    return one, replace(second.at([pair[1] for pair in pairs]), shown=names)


def joint_name(first: str, second: str) -> str:
    """Return a name for two aligned tokens.

    Args:
        first: a token.
        second: its counterpart.
    """
    return first if first == second else f"{first} → {second}"
