"""Rows that cannot be used: refused all at once, or left out and counted, as ``data.on_bad_rows`` says."""

from __future__ import annotations

import csv
import io
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence

from workbench.data.examples import SplitName
from workbench.data.readers.table import BadRow, Table
from workbench.data.report import ExcludedRows, format_list
from workbench.errors import DataError
from workbench.runs.export import no_formula
from workbench.spec import DataSpec
from workbench.types import Json


class BadRowsError(DataError):
    """Rows that cannot be used. The message names the first one, and counts them all by reason.

    Args:
        message: what is wrong.
        hint: what to do.
        count: the number of these rows.
    """

    def __init__(self, message: str, hint: str, count: int = 0) -> None:
        super().__init__(message, hint)
        self.count = count


def repeated_header(table: Table) -> list[BadRow]:
    """Return the rows that repeat the names of the columns, as joined files have them.

    Args:
        table: the rows; with a single column, a row that equals its name is taken for a text.
    """
    names = [name.strip().casefold() for name in table.columns]
    if len(names) < 2:
        return []
    first = next(iter(table.columns.values()))
    return [
        BadRow(
            table.rows[i],
            "the names of the columns are repeated",
            f"{table.where(i)}: the names of the columns are repeated; files may have been joined with their headers.",
            "Remove that row.",
        )
        for i, value in enumerate(first)
        if _cell(value) == names[0] and [_cell(values[i]) for values in table.columns.values()] == names
    ]


def _cell(value: object) -> str | None:
    return value.strip("\ufeff \t").casefold() if isinstance(value, str) else None


def exclude_bad_rows(
    bad_rows: Mapping[SplitName, Sequence[BadRow]], tables: Mapping[SplitName, Table], spec: DataSpec
) -> list[ExcludedRows]:
    """Return the rows to leave out, by split and reason.

    Args:
        bad_rows: the rows of each split that cannot be used.
        tables: the table of each split, for its name and what its rows count.
        spec: says whether to refuse them.

    Raises:
        BadRowsError: there are such rows and the spec refuses them, or no other row is left in a split.
    """
    bad = {split: sorted(rows, key=lambda each: each.row) for split, rows in bad_rows.items() if rows}
    if not bad:
        return []
    count = sum(map(len, bad.values()))
    first = next(iter(bad.values()))[0]
    if spec.on_bad_rows == "refuse":
        them = "this row" if count == 1 else f"these {count:,} rows"
        raise BadRowsError(
            first.message + _summary(bad, tables, count),
            f"{first.hint} Or set data.on_bad_rows to drop, which leaves out {them}.",
            count,
        )
    for split, rows in bad.items():
        if len(rows) >= len(tables[split]) + len(tables[split].bad_rows):
            raise BadRowsError(
                f"{tables[split].name}: no row can be used. {first.message}{_summary(bad, tables, count)}",
                first.hint,
                count,
            )
    return [
        ExcludedRows(split, reason, [each.row for each in rows])
        for split, own in bad.items()
        for reason, rows in _by_reason(own).items()
    ]


def _by_reason(rows: Sequence[BadRow]) -> dict[str, list[BadRow]]:
    reasons: dict[str, list[BadRow]] = {}
    for each in rows:
        reasons.setdefault(each.reason, []).append(each)
    return reasons


def _summary(bad: Mapping[SplitName, Sequence[BadRow]], tables: Mapping[SplitName, Table], count: int) -> str:
    """Return how many rows there are in all, by file and reason; nothing for a single one."""
    if count == 1:
        return ""
    parts = [
        f"{tables[split].name}: {reason} ({tables[split].unit} {format_list([each.row for each in rows])})"
        for split, own in bad.items()
        for reason, rows in _by_reason(own).items()
    ]
    return f" {count:,} rows in all cannot be used. {'; '.join(parts)}."


def rest_as_csv(table: Table, bad_rows: Sequence[BadRow], starts: Sequence[int]) -> str:
    """Return the rows of a table that can be used, as CSV. Cells that a spreadsheet would run are escaped.

    Args:
        table: as it was read.
        bad_rows: the rows to leave out.
        starts: the rows at which the examples begin, ascending. With a word in each row, a sentence has several rows,
            and all of them are left out.
    """
    bad = {each.row for each in bad_rows}
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([no_formula(name) for name in table.columns])
    for row, values in zip(table.rows, zip(*table.columns.values(), strict=True), strict=True):
        if row not in bad and starts[max(0, bisect_right(starts, row) - 1)] not in bad:
            writer.writerow([_csv_cell(value) for value in values])
    return out.getvalue()


def _csv_cell(value: Json) -> str | float | None:
    if value is None or isinstance(value, bool | int | float):
        return value
    return no_formula(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
