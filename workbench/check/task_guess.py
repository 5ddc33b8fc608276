"""For which task a file was probably made: one whose columns it has by their usual names, or in a known shape."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.data.columns import Column, map_columns
from workbench.data.readers.table import Table
from workbench.data.shapes import apply_shapes
from workbench.data.tables import read_tables
from workbench.errors import WorkbenchError
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

ROWS = 300  # that are looked at


def guess_task(data: DataSpec, workspace: Workspace, default: str) -> str:
    """Return the task that needs most columns, of those whose columns a file has without a doubt.

    Args:
        data: names the file.
        workspace: whose cache is used.
        default: the task that is returned if the file fits it, or if no task that needs more than texts fits.
    """
    try:
        table = read_tables(data, None, tasks.get(default)().columns(), workspace)["train"]
    except WorkbenchError:
        return default  # reading it says why
    table = table.take(range(min(ROWS, len(table))))
    fitting = {
        name: count
        for name, entry in tasks.items()
        if (count := _matched(table, entry(entry.Config()).columns(), data))
    }
    if default in fitting or not fitting:
        return default
    return max(fitting, key=lambda name: fitting[name])


def _matched(table: Table, columns: Sequence[Column], data: DataSpec) -> int:
    """Return how many columns a task needs, if a table has all of them; else 0, as for a task that needs only texts."""
    required = [column for column in columns if column.required]
    if len(required) == 1 and required[0].kind == "text":
        return 0
    try:
        tables, chosen = apply_shapes({"train": table}, columns, data.columns, data)
        map_columns(tables["train"], columns, chosen)
    except WorkbenchError:
        return 0
    return len(required)
