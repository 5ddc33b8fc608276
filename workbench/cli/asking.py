"""What `workbench predict` asks: texts, inputs of several roles, or the rows of a file; and how answers are shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.cli.output import console, hanging, table
from workbench.errors import DataError, RequestError

MOST_SHOWN = 300  # characters of an input above its answer


def inputs_of_texts(texts: Sequence[str], pairs: Sequence[str]) -> list[dict[str, Any]]:
    """An input for each --text, with its --text-pair. Raises RequestError when there are not as many."""
    if pairs and len(pairs) != len(texts):
        raise RequestError(f"{len(texts)} --text and {len(pairs)} --text-pair were given.", "Give one for each.")
    if pairs:
        return [{"text": text, "text_pair": pair} for text, pair in zip(texts, pairs, strict=True)]
    return [{"text": text} for text in texts]


def inputs_of_json(given: Sequence[str], task: Any) -> list[dict[str, Any]]:
    """An input for each --input; the task looks at its roles when it is asked. Raises RequestError."""
    found = []
    for place, text in enumerate(given, start=1):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"--input {place} is not JSON: {error}", f"Write it as {_example(task)}.") from error
        if not isinstance(value, dict):
            raise RequestError(
                f"--input {place} is {type(value).__name__}, where an object is needed.",
                f"Write it as {_example(task)}.",
            )
        found.append(value)
    return found


def inputs_of_file(path: Path, task: Any) -> list[dict[str, Any]]:
    """An input for each row of a CSV, JSONL or Parquet file whose columns are named as the roles.

    Raises:
        DataError: no such file, no table, or none of its columns is a role.
    """
    from workbench.data.readers.read import read_table

    read = read_table(path)
    columns = {column.role: column for column in task.inputs()}
    there = [role for role in dict.fromkeys((*columns, *task.input_aliases)) if role in read.columns]
    if not there:
        raise DataError(
            f"{path.name} has the columns {', '.join(read.columns)}; a model for {task.name} is asked with "
            f"{', '.join(columns)}.",
            "Name the columns so.",
        )
    optional = {role for role, column in columns.items() if not column.required}
    return [
        {role: value for role, value in zip(there, row, strict=True) if not (role in optional and _is_empty(value))}
        for row in zip(*(read.columns[role] for role in there), strict=True)
    ]


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _example(task: Any) -> str:
    return "'{" + ", ".join(f'"{column.role}": "..."' for column in task.inputs()) + "}'"


# -- shown ---------------------------------------------------------------------------------------------------------


def show_predictions(inputs: Sequence[dict[str, Any]], found: Sequence[dict[str, Any]]) -> None:
    """Labels as a table; any other answer under its input."""
    if all("label" in result or "labels" in result for result in found):
        rows = [
            {"label": _labels(result), "score": result["score"], "text": _shown(given)}
            for given, result in zip(inputs, found, strict=True)
        ]
        table(rows, {"label": "label", "score": ">probability", "text": "text"}, "Nothing was asked.")
        return
    for given, result in zip(inputs, found, strict=True):
        console.print(_shown(given), style="bold", markup=False, soft_wrap=True)
        told = {n: v for n, v in result.items() if n not in ("prompt", "tokens") and given.get(n) != v}
        for name, value in (told or {"text": result.get("text", "")}).items():  # a written text may be the input's own
            _show_value(name, value)


def _show_value(name: str, value: Any) -> None:
    """One part of an answer: the text alone, numbers with their name, lists line by line."""
    if name in ("text", "answer"):
        hanging(str(value) or "(nothing)")
    elif name == "masks":
        for place, candidates in enumerate(value, start=1):
            thought = ", ".join(f"{each['token']} {each['score']:.3f}" for each in candidates)
            hanging(f"[MASK] {place}: {thought}")
    elif isinstance(value, list):
        hanging(f"{name}: {len(value)}" if value else f"{name}: none")
        for item in value:
            hanging(_line(item), indent=8)
    else:
        hanging(f"{name}: {_line(value)}")


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {_line(part)}" for name, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _shown(given: dict[str, Any]) -> str:
    """An input on one line."""
    parts = [" | ".join(map(str, value)) if isinstance(value, list) else str(value) for value in given.values()]
    text = "  ⟂  ".join(parts)
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…"


def _labels(result: dict[str, Any]) -> str:
    return ", ".join(result["labels"]) or "(none)" if "labels" in result else str(result["label"])
