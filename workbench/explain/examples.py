"""Texts of a run's own data, as the explaining functions take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.errors import RequestError
from workbench.runs.predictions import has_predictions, read_predictions
from workbench.runs.run import Run
from workbench.tasks.base import tasks

PAIR_MARK = " ⟂ "  # stands between the two texts of a pair in the predictions


def evaluated_texts(run: Run, task: Any, most: int) -> list[dict[str, str]]:
    """Some of the texts that a run was evaluated on: not the first but from all over.

    Args:
        run: a finished one.
        task: of its predictor.
        most: texts at most.

    Raises:
        RequestError: the run keeps no predictions.
    """
    if not has_predictions(run):
        raise RequestError(
            f"The run {run.id} keeps no predictions to take texts from.", "Choose a run that was evaluated."
        )
    return some_texts(read_predictions(run, ["input"]).get("input", []), reads_pairs(task), most)


def reads_pairs(task: Any) -> bool:
    """Whether a task reads two texts at once."""
    return len([column for column in task.inputs() if column.kind == "text" and column.required]) > 1


def run_reads_pairs(run: Run) -> bool:
    """Whether a run's task reads two texts at once, asked of its settings: no model is loaded."""
    choice = run.spec().task
    entry = tasks.get(choice.name)
    return reads_pairs(entry(entry.Config.model_validate(choice.options)))


def some_texts(written: Sequence[str], pairs: bool, most: int) -> list[dict[str, str]]:
    """``{"text": ...}`` of rows of predictions, of pairs also ``"text_pair"``; evenly from the whole list."""
    chosen = written[:: max(1, len(written) // most)][:most]
    return [as_given(text, pairs) for text in chosen]


def as_given(text: str, pairs: bool) -> dict[str, str]:
    """A row's text, or its two texts."""
    first, mark, second = text.partition(PAIR_MARK)
    return {"text": first, "text_pair": second} if pairs and mark else {"text": text}
