"""Labels and tags as they are written in files, brought to one form in the tables of all splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.data.examples import SplitName
from workbench.data.labels.lists import name_of, read_label_lists, unwrap_single_labels
from workbench.data.labels.tags import normalize_tags
from workbench.data.readers.table import Table, convert_rows
from workbench.data.roles import Roles
from workbench.spec import DataSpec


def normalize_targets(tables: Mapping[SplitName, Table], roles: Roles, spec: DataSpec) -> dict[SplitName, Table]:
    """Return the tables with labels by name and as lists.

    Args:
        tables: the table of each split.
        roles: the roles, and their columns.
        spec: the data section of the spec.

    Raises:
        DataError: the form of a column cannot be decided, or a label is not valid.
    """
    result = dict(tables)
    for column in roles.columns:
        name = roles.mapping[column.role]
        if column.kind == "labels":
            result = read_label_lists(result, name, spec.label_separator, spec.label_names)
        elif column.kind == "tags":
            result = normalize_tags(result, name, spec.label_names, spec.outside_tag, column.verbatim)
        elif column.kind == "label":
            having = {split: table for split, table in result.items() if name in table.columns}
            result |= {split: _single_labels(table, name, spec.label_names) for split, table in having.items()}
    return result


def _single_labels(table: Table, column: str, names: Sequence[str] | None) -> Table:
    """Return the table with one label in each cell, by name."""
    table = unwrap_single_labels(table, column)
    if names is None:
        return table
    values = table.columns[column]
    good, labels = convert_rows(table, lambda i: name_of(table, i, column, values[i], names), "the label has no name")
    return good.with_column(column, labels)
