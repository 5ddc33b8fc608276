"""Texts of a run's own data, as the explaining functions take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from workbench.errors import RequestError
from workbench.runs.predictions import has_predictions, read_predictions
from workbench.runs.run import Run
from workbench.tasks.base import Task, tasks

NO_TEXTS = "There are no texts to measure on."
PAIR_MARK = " ⟂ "  # separates the two texts of a pair in a run's predictions


class TextInputs(TypedDict):
    """One text, or a pair of texts."""

    text: str
    text_pair: NotRequired[str]


def evaluated_texts(run: Run, task: Task, most: int) -> list[TextInputs]:
    """Return some of the texts that a run was evaluated on, evenly from all of them.

    Args:
        run: a finished run.
        task: its predictor's.
        most: the largest number of texts.

    Raises:
        RequestError: the run has no predictions.
    """
    if not has_predictions(run):
        raise RequestError(
            f"The run {run.id} has no predictions to take texts from.", "Choose a run that was evaluated."
        )
    return sample_texts(read_predictions(run, ["input"]).get("input", []), reads_pairs(task), most)


def reads_pairs(task: Task) -> bool:
    """Return whether a task reads two texts at once.

    Args:
        task: any task.
    """
    return len([column for column in task.inputs() if column.kind == "text" and column.required]) > 1


def run_reads_pairs(run: Run) -> bool:
    """Return whether a run's task reads two texts at once, without loading its model.

    Args:
        run: any run.
    """
    choice = run.spec().task
    entry = tasks.get(choice.name)
    return reads_pairs(entry(entry.Config.model_validate(choice.options)))


def sample_texts(rows: Sequence[str], pairs: bool, most: int) -> list[TextInputs]:
    """Return some of a run's texts, evenly from all of them.

    Args:
        rows: the column "input" of a run's predictions.
        pairs: whether a row contains two texts.
        most: the largest number of texts.
    """
    chosen = rows[:: max(1, len(rows) // most)][:most]
    return [split_pair(row, pairs) for row in chosen]


def split_pair(row: str, pairs: bool) -> TextInputs:
    """Split a row of a run's predictions into its texts.

    Args:
        row: the text, or both texts.
        pairs: whether the row contains two texts.
    """
    first, mark, second = row.partition(PAIR_MARK)
    return TextInputs(text=first, text_pair=second) if pairs and mark else TextInputs(text=row)
