"""Pairs of texts with a label of 0 and 1 in place of a score: 1 for pairs that match.

    question1,question2,is_duplicate
    How old is Ada?,What is the age of Ada?,1

Without it, each pair would count as one that matches. Labels of inference (entailment, neutral, contradiction) are
refused for this reason.
"""

from __future__ import annotations

from workbench.data.labels.lists import is_zero_one
from workbench.data.readers.table import Table
from workbench.data.shapes.base import Needs, Shape, find_column, first_values, shapes
from workbench.errors import DataError

LABELS = ("is_duplicate", "label", "labels", "gold_label", "duplicate", "similar", "match", "quality")
INFERENCE = frozenset(("entailment", "neutral", "contradiction", "not_entailment", "-"))


@shapes.register("pair-labels")
class PairLabels(Shape):
    """Pairs of texts with a label of 0 and 1."""

    roles = ("text_a", "text_b", "score")

    def matches(self, table: Table, needs: Needs) -> bool:
        if needs.column("score").kind != "number" or needs.find(table, "score", needs.column("score").guesses):
            return False
        column = _label_column(table, needs)
        if column is None:
            return False
        values = {str(value).strip().casefold() for value in first_values(table, column)}
        if len(values) > 1 and values <= INFERENCE:
            raise DataError(
                f"{table.name}: column {column!r} says which pairs do not match ({', '.join(sorted(values))}), but "
                "without a score each pair counts as one that matches.",
                "Keep the pairs that match only, or write a score from 0 to 1 for each pair (column score).",
            )
        return is_zero_one(table.columns[column])

    def convert(self, table: Table, needs: Needs) -> Table:
        column = _label_column(table, needs)
        if column is None:
            raise DataError(f"{table.name} lacks the labels of the training data.", "Use the same columns.")
        scores = [
            {"true": "1", "false": "0"}.get(str(value).strip().casefold(), value) for value in table.columns[column]
        ]
        result = table.with_column(needs.name("score"), scores)
        result.notes = [
            *table.notes,
            f"{table.name}: column {column!r} is the score: 1 for texts that match, 0 otherwise.",
        ]
        return result


def _label_column(table: Table, needs: Needs) -> str | None:
    return find_column(table, LABELS, taken=needs.chosen.values())
