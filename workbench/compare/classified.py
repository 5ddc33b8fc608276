"""The predictions of a run as labels, for analyses that go example by example."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from workbench.runs.predictions import (
    COLUMN_PREFIX,
    EXAMPLE,
    INPUT,
    INPUT_PREFIX,
    Predictions,
    example_inputs,
    input_text,
    read_predictions,
)
from workbench.runs.run import Run
from workbench.types import Floats

_OWN_COLUMNS = ("id", EXAMPLE, "gold", "prediction", "score", "correct")
_SCORE_PREFIX = "score:"
MAX_LABELS = 200
MAX_VALUES = 50  # of a column that examples are sliced by

Cell: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True)
class ClassPredictions:
    """A run's predictions on the N examples that can be right or wrong.

    Attributes:
        ids: ids of the examples [N].
        inputs: what the model read, by role [N].
        gold: gold labels as text [N].
        predicted: predicted labels as text [N].
        correct: whether each prediction is right [N].
        scores: confidence of each prediction [N]; None where the run stores no probabilities.
        labels: the classes that have probabilities [C]; empty where the run stores none.
        probabilities: [N, C]; None where the run stores none.
        more: by name, other columns [N] that examples can be sliced by: columns of the data, and of the predictions
            those with few values. Numbers are floats, also where the file has them as text; None where a value is
            missing.
    """

    ids: list[str]
    inputs: list[dict[str, Any]]
    gold: list[str]
    predicted: list[str]
    correct: list[bool]
    scores: list[float] | None
    labels: list[str]
    probabilities: Floats | None
    more: dict[str, list[Cell]]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def texts(self) -> list[str]:
        """The inputs of each example as one text, [N]."""
        return [input_text(inputs) for inputs in self.inputs]

    @property
    def has_classes(self) -> bool:
        """Whether the answers are labels that occur several times each, and not free text."""
        return 1 < len(set(self.gold)) <= MAX_LABELS and 2 * len(set(self.gold)) <= len(self)


def read_class_predictions(run: Run) -> ClassPredictions | None:
    """Read the run's examples that can be right or wrong; None where it has none.

    Args:
        run: a finished run.

    Raises:
        RequestError: the run has no predictions.
        DataError: the file is damaged.
    """
    table = read_predictions(run)
    if not {"id", "gold", "prediction", "correct"} <= set(table):
        return None
    judged = [i for i, right in enumerate(table["correct"]) if right is not None]
    if not judged:
        return None
    columns = {name: [column[i] for i in judged] for name, column in table.items()}
    labels = [name.removeprefix(_SCORE_PREFIX) for name in columns if name.startswith(_SCORE_PREFIX)]
    gold = [_text(value) for value in columns["gold"]]
    complete = bool(labels) and set(gold) <= set(labels)
    scores = columns.get("score")
    probabilities = [columns[_SCORE_PREFIX + label] for label in labels]
    return ClassPredictions(
        ids=[str(value) for value in columns["id"]],
        inputs=example_inputs(columns),
        gold=gold,
        predicted=[_text(value) for value in columns["prediction"]],
        correct=[bool(value) for value in columns["correct"]],
        scores=[float(value) for value in scores] if labels and scores else None,
        labels=labels if complete else [],
        probabilities=np.array(probabilities, dtype=float).T if complete else None,
        more=_more(columns),
    )


def _more(columns: Predictions) -> dict[str, list[Cell]]:
    """Return the columns that examples can be sliced by; one of the data replaces one of the predictions."""
    prefixed = (_SCORE_PREFIX, COLUMN_PREFIX, INPUT_PREFIX)
    own = {name: values for name, values in columns.items() if name != INPUT and not name.startswith(prefixed)}
    more = {name: values for name, values in own.items() if name not in _OWN_COLUMNS and _has_few_values(values)}
    for name, values in columns.items():
        if not name.startswith(COLUMN_PREFIX):
            continue
        numbers = _as_numbers(values)
        if numbers is not None and len(set(numbers)) > 1:
            more[name.removeprefix(COLUMN_PREFIX)] = list(numbers)
        elif numbers is None and _has_few_values(values):
            more[name.removeprefix(COLUMN_PREFIX)] = values
    return more


def _has_few_values(values: list[Cell]) -> bool:
    present = [value for value in values if value is not None]
    few = 1 < len(set(map(str, present))) <= min(MAX_VALUES, len(present) // 2)
    return few and all(isinstance(value, (str, int, bool)) for value in present)


def _as_numbers(values: list[Cell]) -> list[float | None] | None:
    """Return a column as numbers, which a CSV file has as text; None where it is not numeric."""
    numbers: list[float | None] = []
    for value in values:
        if value is None or (isinstance(value, str) and not value.strip()):
            numbers.append(None)
            continue
        if isinstance(value, bool):
            return None
        try:
            number = float(value)
        except ValueError:
            return None
        numbers.append(number if math.isfinite(number) else None)
    return numbers if any(number is not None for number in numbers) else None


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
