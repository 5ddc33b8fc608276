"""Signs in a text that programs leave behind: letters that were decoded wrongly before, and HTML's entities."""

from __future__ import annotations

import re

from workbench.runs.report_notes import WarningNote

MIN_COUNT = 3
_LOOKED_AT = 1 << 22  # characters

# Letters of UTF-8 that were once read as cp1252, such as Ã© for é and â€œ for an opening quote.
_MISREAD = re.compile(
    r"\u00c3[\u0080-\u00bf]|\u00e2\u20ac[\u0080-\u00bf\u0153\u201c\u201d\u2122\u0161\u02dc\u00a6]|\u00c2[\u00a0-\u00bf]"
)
_WORD = re.compile(r"[^\s,;|\"\[\]{}]+")
_ENTITY = re.compile(r"&(?:amp|quot|lt|gt|nbsp|apos|#\d{2,5});")


def note_marks(text: str, name: str) -> list[str]:
    """Return notes on letters that were decoded wrongly before the file was saved, and on HTML's entities.

    Args:
        text: the content of a file.
        name: the file's name.
    """
    text = text[:_LOOKED_AT]
    notes: list[str] = []
    if len(_MISREAD.findall(text)) >= MIN_COUNT:
        words = (match.group() for match in _WORD.finditer(text))
        example = next(((word, right) for word in words if (right := _repaired(word)) is not None), None)
        if example is not None:
            notes.append(
                WarningNote(
                    f"{name}: letters seem to have been saved in a wrong encoding, such as {example[0][:40]!r} for "
                    f"{example[1][:40]!r}. Export the file from its source again, as UTF-8."
                )
            )
    entities = _ENTITY.findall(text)
    if len(entities) >= MIN_COUNT:
        notes.append(f"{name}: the texts have HTML entities, such as {entities[0]}, which are read as they are.")
    return notes


def _repaired(word: str) -> str | None:
    """Return a word that was read as cp1252 in place of UTF-8; None if it was not."""
    if _MISREAD.search(word) is None:
        return None
    try:
        return word.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return None
