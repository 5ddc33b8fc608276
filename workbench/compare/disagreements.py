"""Examples that one run gets right and another wrong: where to look for why they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.runs.predictions import example_inputs, input_text, read_predictions
from workbench.runs.run import Run

COLUMNS = ["id", "input", "gold", "prediction", "score", "correct"]


@dataclass(frozen=True)
class Disagreement:
    """One example that exactly one of two runs gets right.

    Attributes:
        id: of the example.
        inputs: what both read, by role.
        gold: what is right.
        first, second: what each says.
        first_is_right: whether it is the first that is.
        score: how sure the wrong one is (0 to 1); None where runs keep no scores.
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
    """The examples that both were evaluated on and exactly one got right, the most confident mistakes first.

    Raises:
        RequestError: a run has no predictions.
        DataError: a file is damaged.
    """
    ours, theirs = (read_predictions(run, COLUMNS) for run in (first, second))
    if not {"id", "prediction", "correct"} <= set(ours) & set(theirs):
        return []
    place = {name: i for i, name in enumerate(theirs["id"])}
    inputs = example_inputs(ours)
    found = []
    for i, name in enumerate(ours["id"]):
        j = place.get(name)
        if j is None or None in (ours["correct"][i], theirs["correct"][j]):
            continue  # the task has no right and wrong for this example
        right = bool(ours["correct"][i])
        if right == bool(theirs["correct"][j]):
            continue
        score = theirs.get("score", [None] * (j + 1))[j] if right else ours.get("score", [None] * (i + 1))[i]
        found.append(
            Disagreement(
                str(name),
                inputs[i],
                _text(ours.get("gold"), i),
                _text(ours["prediction"], i),
                _text(theirs["prediction"], j),
                right,
                None if score is None else float(score),
            )
        )
    return sorted(found, key=lambda one: (not one.first_is_right, -(one.score or 0.0)))


def _text(column: list[Any] | None, place: int) -> str:
    return "" if column is None else str(column[place])
