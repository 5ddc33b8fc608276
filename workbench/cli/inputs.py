"""The inputs of ``workbench predict``: texts, JSON objects of several roles, or the rows of a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import DataError, RequestError
from workbench.types import JsonObject

if TYPE_CHECKING:
    from workbench.tasks.base import Task


def inputs_of_texts(texts: Sequence[str], pairs: Sequence[str]) -> list[JsonObject]:
    """Return an input for each ``--text``, with its ``--text-pair``.

    Args:
        texts: the texts.
        pairs: the second text of each; empty for none.

    Raises:
        RequestError: there are not as many of both.
    """
    if pairs and len(pairs) != len(texts):
        raise RequestError(f"{len(texts)} --text and {len(pairs)} --text-pair were given.", "Give one for each.")
    if pairs:
        return [{"text": text, "text_pair": pair} for text, pair in zip(texts, pairs, strict=True)]
    return [{"text": text} for text in texts]


def inputs_of_json(documents: Sequence[str], task: Task) -> list[JsonObject]:
    """Return an input for each ``--input``. Whether the task reads its roles is checked when it predicts.

    Args:
        documents: JSON objects of role and text.
        task: for the example in the hint.

    Raises:
        RequestError: one is not JSON, or no object.
    """
    inputs = []
    for number, text in enumerate(documents, start=1):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"--input {number} is not JSON: {error}", f"Write it as {_example(task)}.") from error
        if not isinstance(document, dict):
            raise RequestError(
                f"--input {number} is {type(document).__name__}, where an object is needed.",
                f"Write it as {_example(task)}.",
            )
        inputs.append(document)
    return inputs


def inputs_of_file(path: Path, task: Task) -> list[JsonObject]:
    """Return an input for each row of a CSV, JSONL or Parquet file whose columns are named like the roles.

    Args:
        path: the file.
        task: whose roles are read.

    Raises:
        DataError: there is no such file, it is no table, or none of its columns is a role.
    """
    from workbench.data.readers.read import read_table

    read = read_table(path)
    columns = {column.role: column for column in task.inputs()}
    roles = [role for role in dict.fromkeys((*columns, *task.input_aliases)) if role in read.columns]
    if not roles:
        raise DataError(
            f"{path.name} has the columns {', '.join(read.columns)}; a model for {task.name} reads "
            f"{', '.join(columns)}.",
            "Rename the columns.",
        )
    optional = {role for role, column in columns.items() if not column.required}
    return [
        {role: value for role, value in zip(roles, row, strict=True) if not (role in optional and _is_empty(value))}
        for row in zip(*(read.columns[role] for role in roles), strict=True)
    ]


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _example(task: Task) -> str:
    return "'{" + ", ".join(f'"{column.role}": "..."' for column in task.inputs()) + "}'"
