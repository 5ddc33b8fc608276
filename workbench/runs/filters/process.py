"""Evaluate a filter in a process of its own, which :mod:`workbench.system.limited_process` starts.

DuckDB can be interrupted between values, but not inside one: a regular expression over a long text would block the
calling process for minutes.
"""

from __future__ import annotations

from typing import IO

from workbench.runs.filters.filter import matching_indices
from workbench.types import Json, JsonObject


def evaluate(expression: str, payload: IO[bytes]) -> JsonObject:
    """Evaluate an expression.

    Args:
        expression: one SQL expression.
        payload: the table as an Arrow stream.

    Returns:
        ``{"indices": [...]}`` or ``{"error": "..."}``.
    """
    import duckdb  # late: they are optional, and every import of workbench.runs would bring them
    import pyarrow

    with pyarrow.ipc.open_stream(payload) as stream:
        table = stream.read_all()
    try:
        return {"indices": list[Json](matching_indices(table, expression))}
    except duckdb.Error as error:
        return {"error": str(error)}
