"""The words of a raw text, split as annotated corpora usually do."""

from __future__ import annotations

import unicodedata

_PREFIX_SIGNS = "@#"  # the first characters of user names and hashtags
_SEPARATORS = ',;:!?()[]{}"“”„«»…。，、；：！？（）'  # part of a word only between digits, as in 10,000 or 12:30


def split_words(text: str) -> list[tuple[int, int]]:
    """Split a raw text into words, in the way that annotated corpora usually do.

    Punctuation around a word is split off, but not punctuation within it (``New-York``, ``U.S.``, ``@user``). ``'s`` is
    split off. Every Chinese or Japanese character is a word. Modifiers stay with their symbol, such as the skin tone of
    an emoji.

    Args:
        text: any text.

    Returns:
        The start and end of each word, in characters.
    """
    words: list[tuple[int, int]] = []
    start = 0
    for i, character in enumerate(text):
        if character.isspace() or _is_ideographic(character):
            words += _split_chunk(text, start, i)
            if not character.isspace():
                words.append((i, i + 1))
            start = i + 1
    return words + _split_chunk(text, start, len(text))


def _split_chunk(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Return the words of a chunk without spaces."""
    chunk = text[start:end]
    if "://" in chunk:
        return [(start, end)]
    words: list[tuple[int, int]] = []
    begin = start
    for i in range(start, end):
        between_digits = text[i - 1 : i].isdigit() and text[i + 1 : i + 2].isdigit()
        if text[i] in _SEPARATORS and start < i < end - 1 and not between_digits:
            words += [*_peel(text, begin, i), (i, i + 1)]
            begin = i + 1
    return words + _peel(text, begin, end)


def _peel(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Return the word without the punctuation around it, and that punctuation."""
    before: list[tuple[int, int]] = []
    after: list[tuple[int, int]] = []
    while (
        start < end
        and _is_sign(text[start])
        and not (text[start] in _PREFIX_SIGNS and text[start + 1 : start + 2].isalnum())
    ):
        until = _sign_end(text, start, end)
        before.append((start, until))
        start = until
    while start < end and _is_sign(text[_last_base(text, start, end)]) and not _is_abbreviation(text[start:end]):
        sign = _last_base(text, start, end)
        while sign > start and text[sign - 1] == text[sign]:  # "..." counts as one symbol
            sign -= 1
        after.append((sign, end))
        end = sign
    if end - start > 2 and text[end - 2] in "'’" and text[end - 1] in "sS":
        after.append((end - 2, end))
        end -= 2
    return [*before, *([(start, end)] if start < end else []), *reversed(after)]


def _is_ideographic(character: str) -> bool:
    """Return whether this is a Chinese or Japanese character or mark, which are not separated by spaces."""
    return "\u2e80" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff" or character >= "\U00020000"


def _is_sign(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def _is_tied(character: str) -> bool:
    """Return whether this modifies the character before it: accents, joiners, skin tones of emoji."""
    return unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf") or "\U0001f3fb" <= character <= "\U0001f3ff"


def _sign_end(text: str, start: int, end: int) -> int:
    """Return the end of the symbol at ``start``, including its repetitions and modifiers."""
    i = start + 1
    while i < end and (text[i] == text[start] or _is_tied(text[i]) or text[i - 1] == "\u200d"):
        i += 1
    return i


def _last_base(text: str, start: int, end: int) -> int:
    """Return the index of the last character that does not modify the one before it."""
    i = end - 1
    while i > start and (_is_tied(text[i]) or text[i - 1] == "\u200d"):
        i -= 1
    return i


def _is_abbreviation(word: str) -> bool:
    """Return whether the final period belongs to the word: ``U.S.``, ``J.``."""
    return word.endswith(".") and all(len(part) == 1 and part.isalpha() for part in word[:-1].split("."))
