"""What a column holds, for people who choose the columns of their file: a text, classes, numbers, dates, or an id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypedDict

from workbench.types import Json

ContentKind = Literal["text", "class", "number", "date", "id", "other", "empty"]

MOST_CLASSES = 50
FEWEST_IDS = 20  # rows; below, values that are all different say little
_MOSTLY = 0.95  # of the values of a column of dates
_DATE = re.compile(
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([T ]\d{1,2}:\d{2}(:\d{2})?.{0,10})?"
)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class ColumnFacts(TypedDict):
    """``empty`` counts the rows without a value, ``different`` the different values."""

    kind: ContentKind
    empty: int
    different: int


def column_facts(values: Sequence[Json]) -> ColumnFacts:
    """Describe the values of a column.

    Args:
        values: one per row.
    """
    filled = [str(value).strip() for value in values if value is not None and str(value).strip()]
    different = len(set(filled))
    nested = any(isinstance(value, dict | list) for value in values)
    kind: ContentKind = "other" if nested else _kind_of(filled, different)
    return {"kind": kind, "empty": len(values) - len(filled), "different": different}


def _kind_of(values: Sequence[str], different: int) -> ContentKind:
    """Return the kind of a column by its values, which are not empty."""
    if not values:
        return "empty"
    if sum(_DATE.fullmatch(value) is not None for value in values) >= _MOSTLY * len(values):
        return "date"
    are_numbers = all(_NUMBER.fullmatch(value) for value in values)
    no_spaces = not any(" " in value for value in values)
    if different == len(values) >= FEWEST_IDS and no_spaces and (not are_numbers or _are_whole(values)):
        return "id"
    if 2 <= different <= min(MOST_CLASSES, max(2, len(values) // 2)):
        return "class"
    return "number" if are_numbers else "text"


def _are_whole(values: Sequence[str]) -> bool:
    return all(value.lstrip("+-").isdigit() for value in values)
