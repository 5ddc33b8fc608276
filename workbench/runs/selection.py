"""Which runs to list: by condition, tag and archived flag, in the order that the user chose."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.runs.filters.filter import filter_rows
from workbench.runs.rows import Row
from workbench.runs.table import run_table, sort_rows, with_tags
from workbench.workspace import Workspace


def select_runs(
    workspace: Workspace,
    where: str = "",
    tags: Sequence[str] = (),
    archived: bool = False,
    sort: str = "",
    settings: bool = False,
) -> list[Row]:
    """Select runs, as rows of :func:`workbench.runs.table.run_table`.

    Args:
        workspace: whose runs.
        where: an SQL condition; it sees archived runs, too.
        tags: only runs with all of these tags.
        archived: include archived runs where there is no condition.
        sort: order by this field, descending with a ``-`` before it; oldest first when empty.
        settings: include the fields of the specs, which a condition or an order always has.

    Raises:
        RequestError: the condition cannot be evaluated.
        UnknownNameError: there is no such field to sort by.
        MissingPackageError: duckdb or pyarrow is not installed.
    """
    rows = run_table(workspace, settings=settings or bool(where or sort))[::-1]
    rows = with_tags([row for row in rows if archived or where or not row["archived"]], tags)
    rows = filter_rows(rows, where)
    return sort_rows(rows, sort.removeprefix("-"), descending=sort.startswith("-")) if sort else rows
