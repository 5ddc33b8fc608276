"""The columns of ``predictions.parquet``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.runs.predictions import INPUT_PREFIX
from workbench.tasks.base import PredictionRows
from workbench.tasks.contexts import Array
from workbench.types import Json

MAX_SCORE_COLUMNS = 100  # with more labels than this, predictions store only the highest score


def prediction_table(
    ids: Sequence[str],
    inputs: Mapping[str, Sequence[Json]],
    *,
    gold: Sequence[Json],
    prediction: Sequence[Json],
    score: Sequence[Json],
    correct: Sequence[Json] | None = None,
    columns: Mapping[str, Array] | None = None,
) -> PredictionRows:
    """Return predictions as columns of equal length, one row for each example.

    Args:
        ids: ids of the examples.
        inputs: the model's inputs, by role; each role becomes a column ``input:ROLE``.
        gold: the correct answers.
        prediction: the model's answers.
        score: the score of each answer.
        correct: whether each answer is correct; None if answers are neither correct nor wrong.
        columns: further columns, such as those that the metrics sum, [N] each.
    """
    return {
        "id": list(ids),
        **{f"{INPUT_PREFIX}{role}": list(values) for role, values in inputs.items()},
        "gold": list(gold),
        "prediction": list(prediction),
        "score": list(score),
        "correct": [None] * len(ids) if correct is None else list(correct),
        **{name: column.tolist() for name, column in (columns or {}).items()},
    }


def score_columns(labels: Sequence[str], outputs: Array) -> dict[str, Array]:
    """Return a column ``score:LABEL`` for each label; none if there are too many labels.

    Args:
        labels: label names, in the order of the outputs.
        outputs: the probability of each label, [N, labels].
    """
    if len(labels) > MAX_SCORE_COLUMNS:
        return {}
    return {f"score:{label}": outputs[:, i].astype(float) for i, label in enumerate(labels)}
