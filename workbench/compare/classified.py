"""The predictions of a run as labels and judgements, for whatever looks at them example by example."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.runs.predictions import (
    COLUMN_PREFIX,
    INPUT,
    INPUT_PREFIX,
    example_inputs,
    input_text,
    read_predictions,
)
from workbench.runs.run import Run

_OWN = ("id", "gold", "prediction", "score", "correct")
_SCORE = "score:"
MAX_LABELS = 200


@dataclass(frozen=True)
class ClassPredictions:
    """What a run said of N examples that can be right or wrong.

    Attributes:
        ids: [N].
        inputs: what the model read, by role, [N].
        gold, predicted: [N], as text.
        correct: [N].
        scores: [N], how sure the run was of what it said; None where it keeps no probabilities.
        labels: [C], the classes that the run gives probabilities of; empty where it keeps none.
        probabilities: [N, C]; None where it keeps none.
        more: by name, what else the examples can be cut by, [N] each: columns of the data, and of the predictions those
            with a few values. Numbers are floats, also where the file had them as text; None where there is no value.
    """

    ids: list[str]
    inputs: list[dict[str, Any]]
    gold: list[str]
    predicted: list[str]
    correct: list[bool]
    scores: list[float] | None
    labels: list[str]
    probabilities: NDArray[np.float64] | None
    more: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def texts(self) -> list[str]:
        """The inputs of each example as one text, [N]."""
        return [input_text(inputs) for inputs in self.inputs]

    @property
    def has_classes(self) -> bool:
        """Whether the answers are labels, of which each occurs several times, and not texts of all kinds."""
        return 1 < len(set(self.gold)) <= MAX_LABELS and 2 * len(set(self.gold)) <= len(self)


def read_class_predictions(run: Run) -> ClassPredictions | None:
    """The run's examples that can be right or wrong; None where it has none.

    Raises:
        RequestError: the run has no predictions.
        DataError: the file is damaged.
    """
    table = read_predictions(run)
    if not {"id", "gold", "prediction", "correct"} <= set(table):
        return None
    kept = [i for i, right in enumerate(table["correct"]) if right is not None]
    if not kept:
        return None
    columns = {name: [column[i] for i in kept] for name, column in table.items()}
    labels = [name.removeprefix(_SCORE) for name in columns if name.startswith(_SCORE)]
    gold = [_text(value) for value in columns["gold"]]
    whole = bool(labels) and set(gold) <= set(labels)
    scores = columns.get("score")
    return ClassPredictions(
        ids=[str(value) for value in columns["id"]],
        inputs=example_inputs(columns),
        gold=gold,
        predicted=[_text(value) for value in columns["prediction"]],
        correct=[bool(value) for value in columns["correct"]],
        scores=[float(value) for value in scores] if labels and scores else None,
        labels=labels if whole else [],
        probabilities=np.array([columns[_SCORE + label] for label in labels], dtype=float).T if whole else None,
        more=_more(columns),
    )


def _more(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """What cuts the examples into slices; a column of the data before one of the predictions with the same name."""
    other = (_SCORE, COLUMN_PREFIX, INPUT_PREFIX)
    own = {name: values for name, values in columns.items() if name != INPUT and not name.startswith(other)}
    found = {name: values for name, values in own.items() if name not in _OWN and _are_few(values)}
    for name, values in columns.items():
        if not name.startswith(COLUMN_PREFIX):
            continue
        numbers = _as_numbers(values)
        if numbers is not None and len(set(numbers)) > 1:
            found[name.removeprefix(COLUMN_PREFIX)] = numbers
        elif numbers is None and _are_few(values):
            found[name.removeprefix(COLUMN_PREFIX)] = values
    return found


def _are_few(values: list[Any]) -> bool:
    there = [value for value in values if value is not None]
    few = 1 < len(set(map(str, there))) <= min(50, len(there) // 2)
    return few and all(isinstance(value, (str, int, bool)) for value in there)


def _as_numbers(values: list[Any]) -> list[float | None] | None:
    """A column of numbers, which a CSV file has as text; an empty field is no number. None where it is not one."""
    found: list[float | None] = []
    for value in values:
        if value is None or (isinstance(value, str) and not value.strip()):
            found.append(None)
            continue
        if isinstance(value, bool):
            return None
        try:
            number = float(value)
        except ValueError:
            return None
        found.append(number if math.isfinite(number) else None)
    return found if any(number is not None for number in found) else None


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
