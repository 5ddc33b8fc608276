"""Words with their tags behind them, as part-of-speech corpora are written: ``word/TAG``, ``word_TAG``, ``word|TAG``.

    Ada/NNP sings/VBZ ./.           迈向/v 充满/v 希望/n 的/u 新/a 世纪/n

A slash inside a word is written ``\\/``. The brackets of the People's Daily corpus (``[中国/ns 政府/n]nt``) enclose
words that form a name; the words keep their own tags.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

TaggedWord: TypeAlias = tuple[str, str]

SIGNS = ("/", "_", "|")
MIN_TAGGED = 0.98  # share of the words that have a tag
MIN_WORDS = 10
MAX_TAGS = 120

_TAG = r"[A-Za-z][\w$|+*-]{0,15}|-[LR][RSC]B-|[.,:;()'`\"#$?!-]{1,3}"
_WORD = {sign: re.compile(rf"\[?(?P<word>.+){re.escape(sign)}(?P<tag>{_TAG})(?:\][A-Za-z]{{1,4}})?") for sign in SIGNS}
_NUMBER = re.compile(r"\d{8}-\d\d-\d{3}-\d{3,4}")  # of a paragraph of the People's Daily


def read_tagged(text: str, sign: str) -> list[TaggedWord] | None:
    """Return the words of a text with their tags; None if a word has no tag.

    Args:
        text: words with tags, separated by spaces.
        sign: what separates a word and its tag.
    """
    result: list[TaggedWord] = []
    for number, token in enumerate(text.split()):
        match = _WORD[sign].fullmatch(token)
        if match is None:
            return None
        if not (number == 0 and _NUMBER.fullmatch(match["word"])):
            result.append((match["word"].replace(f"\\{sign}", sign), match["tag"]))
    return result


def find_sign(texts: Sequence[str]) -> str | None:
    """Return what separates words and tags in some texts; None if their words have no tags.

    Args:
        texts: such as the first lines of a file.
    """
    tokens = [token for text in texts for token in text.split()]
    for sign in SIGNS if len(tokens) >= MIN_WORDS else ():
        matches = [match for token in tokens if (match := _WORD[sign].fullmatch(token))]
        tags = {match["tag"] for match in matches}
        if len(matches) >= MIN_TAGGED * len(tokens) and 1 < len(tags) <= min(MAX_TAGS, len(tokens) / 2):
            return sign
    return None
