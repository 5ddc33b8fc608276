"""The order of labels: numbers by their value, other labels as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)


def sort_labels(labels: Iterable[str], known: Sequence[str] = ()) -> list[str]:
    """Return the different labels in their order: 2 before 10, and numbers before other labels.

    Args:
        labels: labels, with or without repetitions.
        known: an order that a model has learned; it is kept if it has the same labels.
    """
    distinct = set(labels)
    if len(known) == len(distinct) and set(known) == distinct:
        return list(known)
    return sorted(distinct, key=_key)


def _key(label: str) -> tuple[bool, Decimal, str]:
    """Return what a label is sorted by; labels of one value, such as 7 and 07, are sorted as text."""
    is_number = _NUMBER.fullmatch(label) is not None
    return not is_number, Decimal(label) if is_number else Decimal(0), label
