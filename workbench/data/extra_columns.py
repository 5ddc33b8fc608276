"""The columns of a file that play no role: a source, a date, a number of stars. Results can be cut by them later."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from workbench.data.readers.table import Table

MAX_COLUMNS = 20  # columns; of a wider table the first ones
MAX_CHARACTERS = 200  # characters of a value or a name


def extra_columns(table: Table, mapped: Collection[str], rows: Sequence[int]) -> dict[str, list[Any]]:
    """The first columns that are not ``mapped``, each of one type (texts, numbers, or true and false) and None.

    Args:
        table: as it was read.
        mapped: columns that play a role.
        rows: the numbers (``Table.rows``) of those whose values are wanted, in this order.

    Values that occur often are held once. Columns of lists or objects are left out.
    """
    place = {number: i for i, number in enumerate(table.rows)}
    if len(place) < len(table.rows):  # several files, each counted anew: nothing says which is which
        return {}
    places = [place[number] for number in rows]
    found: dict[str, list[Any]] = {}
    for name, values in table.columns.items():
        if name in mapped or len(found) == MAX_COLUMNS:
            continue
        column = _of_one_type([values[i] for i in places])
        if column is not None:
            found.setdefault(_whole(name), column)
    return found


def _of_one_type(values: Sequence[Any]) -> list[Any] | None:
    """The values as they are, or all of them as text; None where there is nothing, or something that has parts."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds or not kinds <= {str, int, float, bool}:
        return None
    if kinds == {bool}:
        return list(values)
    if kinds <= {int, float}:
        return [None if value is None else _number(value) for value in values]
    held: dict[str, str] = {}
    texts = (None if value is None else _whole(str(value)) for value in values)
    return [None if text is None else held.setdefault(text, text) for text in texts]


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return float("inf") if value > 0 else float("-inf")


def _whole(text: str) -> str:
    """Cut, and without half characters, which no file can hold."""
    return text[:MAX_CHARACTERS].encode("utf-8", errors="replace").decode()
