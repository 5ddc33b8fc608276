"""Positions of names in a text: what their numbers count, by evidence, and where a name occurs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeAlias

MIN_AGREEING = 0.98  # share of the names that must be where the positions say, to read them in another unit

Range: TypeAlias = tuple[int, int]


def from_units(text: str, start: int, end: int, size: Callable[[str], int]) -> Range | None:
    """Return the positions in characters of positions in other units; None if they are not in the text.

    Args:
        text: the text.
        start: its first unit.
        end: the unit after its last one.
        size: how many units a character has.
    """
    if text.isascii():
        return (start, end) if 0 <= start < end <= len(text) else None
    index = {0: 0}
    units = 0
    for position, character in enumerate(text, start=1):
        units += size(character)
        index[units] = position
    first, last = index.get(start), index.get(end)
    return (first, last) if first is not None and last is not None and first < last else None


def utf16_size(character: str) -> int:
    """Return how many UTF-16 units a character has.

    Args:
        character: one character.
    """
    return 1 + (character > "\uffff")


def _utf8_size(character: str) -> int:
    return len(character.encode("utf-8", "surrogatepass"))


# Description of the unit -> the positions in characters, or None.
UNITS: dict[str, Callable[[str, int, int], Range | None]] = {
    "": lambda text, start, end: (start, end),
    "the end is inclusive": lambda text, start, end: (start, end + 1),
    "they count UTF-16 units": lambda text, start, end: from_units(text, start, end, utf16_size),
    "they count UTF-16 units, and the end is inclusive": lambda text, start, end: from_units(
        text, start, end + 1, utf16_size
    ),
    "they count bytes": lambda text, start, end: from_units(text, start, end, _utf8_size),
    "they begin with 1, and the end is inclusive": lambda text, start, end: (start - 1, end),
    "they begin with 1": lambda text, start, end: (start - 1, end - 1),
}


def find_unit(names: Iterable[tuple[str, int, int, str]]) -> str:
    """Return which of ``UNITS`` positions have: another than characters only if nearly all names are where it says.

    Args:
        names: texts, the start and end of a name in each, and the name.
    """
    count: Counter[str] = Counter()
    total = 0
    for text, start, end, name in names:
        total += 1
        for unit, convert in UNITS.items():
            span = convert(text, start, end)
            count[unit] += span is not None and span[0] >= 0 and text[slice(*span)].strip() == name.strip()
    best = max(UNITS, key=lambda unit: count[unit])  # the first of equal ones
    return best if total and count[best] >= MIN_AGREEING * total else ""


def occurrences(text: str, name: str) -> list[Range]:
    """Return where a name occurs in a text: as words of their own if it does anywhere, else inside words.

    Args:
        text: the text.
        name: the name.
    """
    pattern = re.compile(r"\s+".join(map(re.escape, name.split())))
    matches = [match.span() for match in pattern.finditer(text)] if name.split() else []
    return [span for span in matches if is_clean(text, *span)] or matches


def is_clean(text: str, start: int, end: int) -> bool:
    """Return whether a range begins and ends at the border of a word.

    Args:
        text: the text.
        start: the first character.
        end: the index after the last one.
    """
    if not 0 <= start < end <= len(text) or text[start].isspace() or text[end - 1].isspace():
        return False
    return not any(
        0 < border < len(text) and _is_letter(text[border - 1]) and _is_letter(text[border]) for border in (start, end)
    )


def _is_letter(character: str) -> bool:
    """Return whether a character is part of a word that is written without spaces around its parts."""
    return character.isalnum() and character < "\u0e00"  # beyond it are scripts without spaces: Thai, Chinese ...
