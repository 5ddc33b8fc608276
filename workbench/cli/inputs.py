"""The inputs of ``workbench predict``: texts, or JSON objects of several roles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.errors import RequestError
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


def _example(task: Task) -> str:
    return "'{" + ", ".join(f'"{column.role}": "..."' for column in task.inputs()) + "}'"
