"""Guess a text's encoding by evidence: the letters, signs and words of each reading, in the language it fits best.

Every distinct word counts once, so that a file does not become harder or easier to guess when its rows are repeated.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from workbench.data.readers.encodings.letters import CHINESE, JAPANESE, KOREAN, LANGUAGES, TAIWAN, Language

_MARGIN, _MARGIN_OF_ONE_WORD = 3.0, 5.0  # log probability; see is_certain
_SAMPLE_BYTES = 1 << 16
_WORST = -8.5  # log probability per character outside ASCII below which no reading is plausible
_MAX_WORDS = 30.0  # what frequent words can add to a score: 1 to 3 each
_TWO_LANGUAGES = 2.5

_FOREIGN, _IMPOSSIBLE = math.log(5e-6), math.log(1e-9)
_RARE_ENCODINGS = ("mac_", "cp85", "cp86", "cp73")  # of old systems: less probable before the file is read
_USUAL, _RARE, _LESS_COMMON = 1.5, -4.0, -0.7
_OPENING, _CLOSING = "“‘«„‹‚¿¡(", "”’»“›…!)"
_APOSTROPHE = ("French", "Italian", "English", "Catalan", "Turkish")
_SIGNS = {
    "’": -7.0, "‘": -8.0, "“": -7.0, "”": -7.0, "«": -7.0, "»": -7.0, "„": -8.0, "…": -7.5, "–": -7.0, "—": -8.0,
    "‚": -11.0, "¿": -9.0, "¡": -9.0, "€": -7.5, "£": -9.0, "°": -8.5, "\xa0": -7.5, "§": -10.0, "©": -10.0, "®": -10.5,
    "™": -10.0, "•": -9.0, "·": -10.0, "½": -10.5, "²": -9.5, "³": -11.0, "×": -10.5, "±": -11.0, "µ": -11.0, "´": -9.5,
    "№": -9.0, "ª": -10.0, "º": -9.0,
}  # fmt: skip

_Contexts: TypeAlias = Counter[tuple[str, str, str]]  # (character, what is before it, what is after it) -> how often


@dataclass(frozen=True)
class Reading:
    """A text in one of the encodings that it may be written in.

    Args:
        encoding: the encoding.
        language: the language that its letters fit best.
        score: log probability; only differences have a meaning.
        words: how many different words have characters outside ASCII.
    """

    encoding: str
    language: str
    score: float
    words: int


def rank_readings(content: bytes) -> list[Reading]:
    """Return the readings of a text that differ, the most probable first; none if all are implausible.

    Args:
        content: all bytes of a text that is not Unicode.
    """
    sample = _sample(content)
    readings: list[Reading] = []
    texts: dict[str, str] = {}
    for encoding in _encodings():
        try:
            text = sample.decode(encoding)
        except UnicodeError:
            continue
        reading = _read(text, encoding)
        if reading is not None and reading.score / max(1, _foreign(text)) > _WORST:
            readings.append(reading)
            texts[encoding] = text
    different: list[Reading] = []
    for reading in sorted(readings, key=lambda reading: -reading.score):
        same = any(texts[other.encoding] == texts[reading.encoding] for other in different)
        if not same and _can_decode(content, reading.encoding):
            different.append(reading)
    return different


def is_certain(readings: Sequence[Reading]) -> bool:
    """Return whether the first reading is so much more probable than the second that there is nothing to ask.

    Args:
        readings: as :func:`rank_readings` returns them.
    """
    if len(readings) < 2:
        return True
    margin = _MARGIN + _MARGIN_OF_ONE_WORD / max(1, readings[0].words)
    return readings[0].score - readings[1].score >= margin


def _can_decode(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
        return True
    except UnicodeError:
        return False


def _sample(content: bytes) -> bytes:
    """Return different lines with characters outside ASCII, without digits: rows often differ in a number only."""
    lines: dict[bytes, None] = {}
    size = 0
    for match in re.finditer(rb"[^\r\n]*[\x80-\xff][^\r\n]*", content):
        line = re.sub(rb"[0-9]+", b"", match.group()[:_SAMPLE_BYTES])
        if len(line) == _SAMPLE_BYTES:  # cut where no character can be
            line = line[: line.rfind(b" ") + 1]
        if line not in lines:
            lines[line] = None
            size += len(line)
        if size > _SAMPLE_BYTES:
            break
    return b"\n".join(lines)


@functools.cache
def _encodings() -> tuple[str, ...]:
    single = dict.fromkeys(encoding for language in LANGUAGES for encoding in language.encodings)
    return (*single, *_CHARACTERS)


def _foreign(text: str) -> int:
    return sum(not character.isascii() for word in _words(text) for character in word)


def _words(text: str) -> set[str]:
    return set(re.split(r"[ \t\r\n,;|]+", text))


def _read(text: str, encoding: str) -> Reading | None:
    """Return the reading in the language that fits best; None if the text has controls, which no text has."""
    if any("\x7f" <= character <= "\x9f" for character in text):
        return None
    prior = 2 * _RARE if encoding in ("mac_latin2", "mac_turkish", "mac_greek") else 0.0
    prior += _RARE if encoding.startswith(_RARE_ENCODINGS) else 0.0
    prior += _USUAL if encoding == "cp1252" else 0.0
    prior += _LESS_COMMON if encoding.startswith(("iso", "koi")) else 0.0
    words = _words(text)
    contexts = _contexts(words)
    count = sum(not word.isascii() for word in words)
    if encoding in _CHARACTERS:
        languages = _CHARACTERS[encoding]
        return max(
            (Reading(encoding, name, prior + own + _sum(contexts, of), count) for name, own, of in languages),
            key=lambda reading: reading.score,
        )
    letters = {
        language.name: _sum_letters(contexts, language) for language in LANGUAGES if encoding in language.encodings
    }
    bonus = _word_bonus(words, letters)
    of_another = max(bonus.values()) - _TWO_LANGUAGES  # a text in one language with letters of another, as in names
    name, score = max(
        ((name, value + max(bonus.get(name, 0.0), of_another)) for name, value in letters.items()),
        key=lambda pair: pair[1],
    )
    return Reading(encoding, name, prior + score, count)


def _word_bonus(words: Iterable[str], names: Collection[str]) -> dict[str, float]:
    """Return for each language how much its frequent words support it; English supports every alphabet a little."""
    lower = {word.strip(".!?\"'()[]:»«“”„…¿¡").lower() for word in words}
    bonus: dict[str, float] = {}
    for language in LANGUAGES:
        if language.name in names or language.name == "English":
            value = min(_MAX_WORDS, sum(min(3, len(word)) for word in lower & language.words))
            bonus[language.name] = value - (0.0 if language.name in names else _TWO_LANGUAGES)
    return bonus


def _contexts(words: Iterable[str]) -> _Contexts:
    contexts: _Contexts = Counter()
    for word in words:
        if not word.isascii():
            kinds = ["-", *map(_kind, word), "-"]
            for i, character in enumerate(word):
                if not character.isascii():
                    contexts[character, kinds[i], kinds[i + 2]] += 1
    return contexts


def _kind(character: str) -> str:
    """Return what a neighbor is: a small or capital ASCII letter, another small or capital letter, or no letter."""
    if not character.isalpha():
        return "-"
    if character.isascii():
        return "A" if character.isupper() else "a"
    return "L" if character.isupper() else "l"


# -- alphabets --------------------------------------------------------------------------------------------------------


def _sum_letters(contexts: _Contexts, language: Language) -> float:
    own_script = max(language.letters) > "\u0370"
    total = 0.0
    for (character, before, after), count in contexts.items():
        if (character.isalpha() and character not in "ªº") or (own_script and character in language.letters):
            value = _letter(character, before, after, language, own_script)
        else:
            value = _sign(character, before, after, language)
        total += count * value
    return total


def _letter(character: str, before: str, after: str, language: Language, own_script: bool) -> float:
    frequency = language.letters.get(character) or language.letters.get(character.lower())
    value = math.log(frequency / 1000) if frequency else _FOREIGN
    if character.isupper():
        if before in "al" or (before in "AL" and after in "al"):
            value -= 9.0  # a capital letter after a small one
        else:
            value -= 0.4 if before in "AL" or after in "AL" else 2.3
    elif before in "AL" and after in "AL":
        value -= 5.0
    if own_script and frequency and (before in "aA" or after in "aA"):
        value -= 7.0  # two scripts in one word
    return value


def _sign(character: str, before: str, after: str, language: Language) -> float:
    value = _SIGNS.get(character, -16.0)
    inside = before != "-" and after != "-"
    if character in "¿¡" and language.name == "Spanish" and before == "-":
        value = -6.0
    if character in "ªº" and language.letters.get(character):
        value = math.log(language.letters[character] / 1000)
    if character == "’" and inside:
        return -5.5 if language.name in _APOSTROPHE else -11.0
    if inside:
        return -11.0 if character in "–—\xa0·" else _IMPOSSIBLE
    if (character in _OPENING and character not in _CLOSING and before != "-") or (
        character in _CLOSING and character not in _OPENING and after != "-"
    ):
        return -13.0
    return value


# -- characters of East Asia ------------------------------------------------------------------------------------------


def _sum(contexts: _Contexts, probability: Callable[[str], float]) -> float:
    total = 0.0
    for (character, before, after), count in contexts.items():
        value = math.log(probability(character))
        if before in "aA" and after in "aA":
            value -= 7.0  # one character between letters of another script
        total += count * value
    return total


def _level(character: str, codec: str, first: int, last: int) -> bool:
    try:
        return first <= character.encode(codec)[0] <= last
    except UnicodeError:
        return False


_MARKS = "，。！？、：；“”（）《》…—　「」『』・～"


def _common(character: str, frequent: str, share: float) -> float | None:
    if character in frequent:
        return share / len(frequent)
    if character in _MARKS:
        return 0.1 / len(_MARKS)
    if "\uff01" <= character <= "\uff5e":
        return 1e-4
    return None


def _of_levels(character: str, codec: str, *levels: tuple[int, int, float]) -> float:
    """Return the probability of a character by its level in a codec: the first byte, the last one, the probability."""
    return next((value for first, last, value in levels if _level(character, codec, first, last)), 1e-8)


@functools.lru_cache(maxsize=1 << 16)
def _simplified(character: str) -> float:
    common = _common(character, CHINESE, 0.5)
    if common is not None:
        return common
    return _of_levels(character, "gb2312", (0xB0, 0xD7, 0.4 / 3755), (0xD8, 0xF7, 0.01 / 3008))


@functools.lru_cache(maxsize=1 << 16)
def _traditional(character: str) -> float:
    common = _common(character, TAIWAN, 0.5)
    if common is not None:
        return common
    return _of_levels(character, "big5", (0xA4, 0xC6, 0.4 / 5401), (0xC9, 0xF9, 0.01 / 7652))


@functools.lru_cache(maxsize=1 << 16)
def _japanese(character: str) -> float:
    common = _common(character, JAPANESE, 0.15)
    if common is not None:
        return common
    if "\u3041" <= character <= "\u3096":
        return 0.5 / 83
    if "\u30a1" <= character <= "\u30fc":
        return 0.15 / 90
    return _of_levels(character, "euc_jp", (0xB0, 0xCF, 0.15 / 2965), (0xD0, 0xF4, 0.003 / 3390))


@functools.lru_cache(maxsize=1 << 16)
def _korean(character: str) -> float:
    common = _common(character, KOREAN, 0.6)
    if common is not None:
        return common
    if "\uac00" <= character <= "\ud7a3":
        return 0.3 / 2350 if _level(character, "euc_kr", 0, 255) else 1e-7
    return 1e-8


_CHARACTERS: dict[str, list[tuple[str, float, Callable[[str], float]]]] = {
    "gb18030": [("Chinese", 0.0, _simplified), ("Chinese, traditional", -4.0, _traditional)],
    "big5": [("Chinese, traditional", 0.0, _traditional)],
    "cp932": [("Japanese", 0.0, _japanese)],
    "euc_jp": [("Japanese", _LESS_COMMON, _japanese)],
    "cp949": [("Korean", 0.0, _korean)],
}
