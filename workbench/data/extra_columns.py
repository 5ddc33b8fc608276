"""The columns of a file without a role: a source, a date, a number of stars. Results can be sliced by them later."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from workbench.data.readers.table import Table
from workbench.types import Json

MAX_COLUMNS = 20  # of a wider table the first ones
MAX_CHARACTERS = 200  # of a value or a name

Scalars = list[str | None] | list[bool | None] | list[float | None]


def extra_columns(table: Table, mapped: Collection[str], rows: Sequence[int]) -> dict[str, Scalars]:
    """Return the first columns without a role, each of one type (text, numbers or booleans) and None.

    Equal texts share one object. Columns of lists or objects are skipped.

    Args:
        table: as it was read.
        mapped: columns that have a role.
        rows: the numbers (``Table.rows``) of the rows wanted, in this order.
    """
    indices = {number: i for i, number in enumerate(table.rows)}
    if len(indices) < len(table.rows):  # several files, each with its own numbers: rows cannot be told apart
        return {}
    selected = [indices[number] for number in rows]
    extra: dict[str, Scalars] = {}
    for name, values in table.columns.items():
        if name in mapped or len(extra) == MAX_COLUMNS:
            continue
        column = _to_one_type([values[i] for i in selected])
        if column is not None:
            extra.setdefault(_truncate(name), column)
    return extra


def _to_one_type(values: Sequence[Json]) -> Scalars | None:
    """Return the values unchanged or all as text; None if there are none, or some are lists or objects."""
    if not all(value is None or isinstance(value, str | int | float) for value in values):
        return None
    scalars = [value for value in values if value is None or isinstance(value, str | int | float)]
    kinds = {type(value) for value in scalars if value is not None}
    if not kinds:
        return None
    if kinds == {bool}:
        return [None if value is None else bool(value) for value in scalars]
    if kinds <= {int, float}:
        return [None if value is None else _to_float(value) for value in scalars]
    shared: dict[str, str] = {}
    texts = [None if value is None else _truncate(str(value)) for value in scalars]
    return [None if text is None else shared.setdefault(text, text) for text in texts]


def _to_float(value: float | str) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return float("inf") if isinstance(value, int) and value > 0 else float("-inf")


def _truncate(text: str) -> str:
    """Truncate a text and replace lone surrogates, which cannot be saved."""
    return text[:MAX_CHARACTERS].encode("utf-8", errors="replace").decode()
