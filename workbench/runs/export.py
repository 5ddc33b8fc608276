"""Write rows of runs as CSV and Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.errors import RequestError
from workbench.files import SHARED, write_atomically
from workbench.runs.rows import INDEX, Row, as_text, column_names, to_arrow


def as_csv(rows: Sequence[Row]) -> str:
    """Return the rows as CSV. A text that a spreadsheet would run as a formula gets a single quote in front."""
    names = column_names(rows)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([no_formula(name) for name in names])
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in names])
    return out.getvalue()


def _cell(value: Any) -> str | float | None:
    if value is None or isinstance(value, bool | int | float):
        return value
    return no_formula(", ".join(map(str, value)) if isinstance(value, list) else as_text(value))


def no_formula(text: str) -> str:
    """Return a cell that no spreadsheet runs as a formula: such a text gets a single quote in front.

    Args:
        text: the content of the cell.
    """
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") or text[:1] in ("\t", "\r", "\n") else text


def as_parquet(rows: Sequence[Row]) -> bytes:
    """Return the rows as a Parquet file with typed columns: numbers, strings, timestamps, lists of tags."""
    table = to_arrow(rows).drop_columns([INDEX])
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def export(rows: Sequence[Row], path: Path) -> None:
    """Write the rows to a file.

    Args:
        rows: what to write.
        path: ends in ``.csv`` or ``.parquet``.

    Raises:
        RequestError: the path has another ending.
    """
    formats = {".csv": lambda: as_csv(rows).encode("utf-8", errors="replace"), ".parquet": lambda: as_parquet(rows)}
    if path.suffix.lower() not in formats:
        raise RequestError(f"{path.name} is neither CSV nor Parquet.", "Use a file name that ends in .csv or .parquet.")
    content = formats[path.suffix.lower()]()
    write_atomically(path, lambda file: file.write(content), SHARED)
