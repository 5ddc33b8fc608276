"""When two examples count as the same: their texts are equal but for case, spaces, line ends or Unicode form.

A model that has seen "Great film!" in training is not tested by "great  film!".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Sequence


def fold_text(text: str) -> str:
    """Return a text in Unicode form NFKC, without case, and with one space between words.

    Args:
        text: any text.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(text.casefold().split())


def fold_inputs(inputs: Sequence[tuple[Hashable, ...]]) -> list[tuple[Hashable, ...]]:
    """Return a key for each example; equal keys are duplicates.

    Args:
        inputs: for each example what the model reads of it, one value per input role.
    """
    return [tuple(_fold(value) for value in row) for row in inputs]


def _fold(value: Hashable) -> Hashable:
    if isinstance(value, str):
        return fold_text(value)
    return tuple(_fold(item) for item in value) if isinstance(value, tuple) else value
