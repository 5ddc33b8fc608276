"""Values as short text, and nested documents as flat ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def shorten(text: object, length: int) -> str:
    """Return a text on one line of at most so many characters, without control characters.

    Args:
        text: any value; it is converted to a string.
        length: most characters; a longer text ends in an ellipsis.
    """
    characters = (c if c.isprintable() else " " for c in str(text)[: 4 * length + 1000])
    line = " ".join("".join(characters).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def flatten(document: Mapping[str, Any], keep_empty: bool = False) -> dict[str, Any]:
    """Return the values of a nested document by their dotted names: ``{"data": {"seed": 1}}`` as ``{"data.seed": 1}``.

    Args:
        document: a dictionary, possibly with nested dictionaries.
        keep_empty: keep an empty dictionary as a value; otherwise it is left out.
    """
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, dict) and (value or not keep_empty):
            flat |= {f"{key}.{name}": item for name, item in flatten(value, keep_empty).items()}
        else:
            flat[key] = value
    return flat
