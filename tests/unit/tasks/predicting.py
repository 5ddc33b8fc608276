"""A task's answers as JSON, as the command line prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.tasks.base import Task
from workbench.tasks.contexts import InferenceContext


def predict_json(
    task: Task,
    model: Any,
    tokenizer: Any,
    inputs: Sequence[Any],
    max_length: int,
    options: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return the answers of ``task.predict`` as JSON."""
    return [
        answer.to_json() for answer in task.predict(InferenceContext(model, tokenizer, max_length), inputs, options)
    ]
