"""Texts of a run's own data, in the form that the explaining functions take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from workbench.errors import RequestError
from workbench.runs.predictions import INPUT, SEPARATOR, example_inputs, has_predictions, input_text, read_predictions
from workbench.runs.run import Run
from workbench.tasks.base import Task, tasks

NO_TEXTS = "There are no texts to measure."


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
    return sample_texts(example_inputs(read_predictions(run, [INPUT])), reads_pairs(task), most)


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


def sample_texts(rows: Sequence[Mapping[str, Any]], pairs: bool, most: int) -> list[TextInputs]:
    """Return some of a run's texts, evenly from all of them.

    Args:
        rows: the inputs of each example, from :func:`workbench.runs.predictions.example_inputs`.
        pairs: whether the task reads two texts.
        most: the largest number of texts.
    """
    chosen = rows[:: max(1, len(rows) // most)][:most]
    return [text_inputs(row, pairs) for row in chosen]


def text_inputs(row: Mapping[str, Any], pairs: bool) -> TextInputs:
    """Return the inputs of an example as a text, or as a pair of texts.

    Args:
        row: the example's inputs, by role.
        pairs: whether the task reads two texts.
    """
    texts = [input_text({role: value}) for role, value in row.items()]
    if set(row) == {INPUT} and pairs:  # an older file, with joined texts
        texts = texts[0].split(SEPARATOR, 1)
    if pairs and len(texts) > 1:
        return TextInputs(text=texts[0], text_pair=texts[1])
    return TextInputs(text=SEPARATOR.join(texts))
