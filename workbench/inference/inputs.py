"""The inputs of a task: what a person is asked for, and the inputs of examples that a run was evaluated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.data.columns import Column
from workbench.runs.predictions import INPUT, LIST_SEPARATOR, SEPARATOR
from workbench.tasks.base import Task
from workbench.types import Json


def input_fields(task: Task) -> list[Column]:
    """Return the task's inputs without those that only repeat another one in another form.

    Args:
        task: any task.
    """
    columns = list(task.inputs())
    roles = {column.role for column in columns}
    duplicates = {"words"} if "text" in roles else set()
    if {"prompt", "text"} <= roles and not any(column.required for column in columns):
        duplicates.add("text")
    return [column for column in columns if column.role not in duplicates]


def inputs_from_row(columns: Sequence[Column], row: Mapping[str, Json]) -> dict[str, Json]:
    """Return the inputs of an example that a run was evaluated on, as they can be asked again.

    Args:
        columns: what :func:`input_fields` returned.
        row: the example's inputs, from :func:`workbench.runs.predictions.example_inputs`.

    Returns:
        Text, or texts, for each role; empty where a required input is missing.
    """
    if set(row) == {INPUT} and INPUT not in {column.role for column in columns}:
        row = _split_text(columns, str(row[INPUT]))
    inputs = {column.role: row[column.role] for column in columns if column.role in row}
    complete = all(column.role in inputs for column in columns if column.required)
    return inputs if complete else {}


def _split_text(columns: Sequence[Column], text: str) -> dict[str, Json]:
    """Return the inputs of an older file, in which one text holds them all; empty where it cannot be split."""
    required = [column for column in columns if column.required]
    first, separator, second = text.partition(SEPARATOR)
    if len(required) == 1 and required[0].kind == "text":
        return {required[0].role: text}
    if len(required) == 2 and separator and required[0].kind == "text":
        texts: list[Json] = [*second.split(LIST_SEPARATOR)]
        return {required[0].role: first, required[1].role: texts if required[1].kind == "texts" else second}
    return {}
