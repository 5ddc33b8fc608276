"""Examples that one run gets right and another wrong, which show why they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench.compare.pairing import EvaluatedExamples, pair_examples
from workbench.runs.predictions import EXAMPLE, example_inputs, input_text, read_predictions
from workbench.runs.run import Run

COLUMNS = ["id", EXAMPLE, "input", "gold", "prediction", "score", "correct"]


@dataclass(frozen=True)
class Disagreement:
    """One example that exactly one of two runs gets right.

    Attributes:
        id: id of the example.
        inputs: what both runs read, by role.
        gold: the right answer.
        first: the first run's prediction.
        second: the second run's prediction.
        first_is_right: whether the first run is right.
        score: confidence of the run that is wrong, 0 to 1; None where runs store no scores.
    """

    id: str
    inputs: dict[str, Any]
    gold: str
    first: str
    second: str
    first_is_right: bool
    score: float | None

    @property
    def text(self) -> str:
        """The inputs as one text."""
        return input_text(self.inputs)


def disagreements(first: Run, second: Run) -> list[Disagreement]:
    """Find the examples that exactly one of two runs gets right, the most confident mistakes first.

    Args:
        first: a run.
        second: a run that was evaluated on the same examples, or on some of them.

    Raises:
        RequestError: a run has no predictions.
        DataError: a file is damaged.
    """
    ours, theirs = (read_predictions(run, COLUMNS) for run in (first, second))
    if not {"id", "prediction", "correct"} <= set(ours) & set(theirs):
        return []
    keys, other_keys = pair_examples([EvaluatedExamples.of(first, ours), EvaluatedExamples.of(second, theirs)])
    index = {key: i for i, key in enumerate(other_keys)}
    inputs, differing = example_inputs(ours), []
    for i, (name, key) in enumerate(zip(ours["id"], keys, strict=True)):
        j = index.get(key)
        if j is None or None in (ours["correct"][i], theirs["correct"][j]):
            continue  # for this example, the task has no right or wrong
        first_is_right = bool(ours["correct"][i])
        if first_is_right == bool(theirs["correct"][j]):
            continue
        wrong, k = (theirs, j) if first_is_right else (ours, i)
        score = wrong["score"][k] if "score" in wrong else None
        differing.append(
            Disagreement(
                id=str(name),
                inputs=inputs[i],
                gold=_text(ours.get("gold"), i),
                first=_text(ours["prediction"], i),
                second=_text(theirs["prediction"], j),
                first_is_right=first_is_right,
                score=None if score is None else float(score),
            )
        )
    return sorted(differing, key=lambda one: (not one.first_is_right, -(one.score or 0.0)))


def _text(column: Sequence[object] | None, index: int) -> str:
    return "" if column is None else str(column[index])
