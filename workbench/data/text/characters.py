"""Scripts that are written without spaces between words."""

from __future__ import annotations

import re
from collections.abc import Sequence

# CJK Unified Ideographs, their extensions and compatibility forms: the blocks of BERT's normalizer.
_CJK_BLOCKS = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))
_NO_SPACE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]|[\U00020000-\U0003ffff]")


def is_cjk(char: str) -> bool:
    """Return whether BERT's normalizer puts spaces around a character.

    Args:
        char: one character.
    """
    return any(low <= ord(char) <= high for low, high in _CJK_BLOCKS)


def takes_no_space(word: str) -> bool:
    """Return whether no space is written before a word: it begins with a Chinese or Japanese character.

    Args:
        word: a word.
    """
    return _NO_SPACE.match(word) is not None


def join_words(words: Sequence[str]) -> str:
    """Join words to a text, with spaces except before Chinese characters.

    Args:
        words: the words of a text.
    """
    return "".join(word if i == 0 or is_cjk(word[:1] or " ") else f" {word}" for i, word in enumerate(words))
