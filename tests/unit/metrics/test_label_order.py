"""Labels that are numbers are in the order of numbers, in every task; an order that a model has learned is kept."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.data.examples import Examples
from workbench.metrics.label_order import sort_labels
from workbench.tasks.base import Task, tasks

TWELVE = [str(number) for number in range(12)]


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["10", "2", "1", "10"], ["1", "2", "10"]),
        (["1.0", "10.0", "2.0"], ["1.0", "2.0", "10.0"]),
        (["0", "-1", "-10", "+3"], ["-10", "-1", "0", "+3"]),
        (["7", "07", "007"], ["007", "07", "7"]),
        (["10 or more", "9", "2"], ["2", "9", "10 or more"]),
        (["b", "a", "B", "é"], ["B", "a", "b", "é"]),
        (["1e3", "2", "10", "٣"], ["2", "10", "1e3", "٣"]),
        (["9" * 5000, "1" + "0" * 5000, "2"], ["2", "9" * 5000, "1" + "0" * 5000]),
        (["nan", "inf", "1_000", "5"], ["5", "1_000", "inf", "nan"]),
    ],
)
def test_the_order(labels: list[str], order: list[str]) -> None:
    assert sort_labels(labels) == sort_labels(reversed(labels)) == order


def test_a_known_order_applies_to_the_same_labels_only() -> None:
    assert sort_labels(["2", "10"], known=["10", "2"]) == ["10", "2"]
    assert sort_labels(["2", "10", "1"], known=["10", "2"]) == ["1", "2", "10"]
    assert sort_labels(["2"], known=["10", "2"]) == ["2"]
    assert sort_labels(["2", "10"], known=["10", "10", "2"]) == ["2", "10"]


def learned(name: str, columns: dict[str, list[Any]], known: list[str] | None = None, **options: Any) -> Task:
    entry = tasks.get(name)
    task = entry(entry.Config.model_validate(options))
    task.labels = known or []
    task.fit(Examples(columns))
    return task


NUMBERED: list[tuple[str, dict[str, list[Any]], dict[str, Any]]] = [
    ("text-classification", {"text": ["t"] * 12, "label": TWELVE[::-1]}, {}),
    (
        "text-classification",
        {"text": ["t"] * 6, "label": [[str(n), str(n + 6)] for n in range(6)]},
        {"multi_label": True},
    ),
    ("relation-extraction", {"text": ["<e1>a</e1> <e2>b</e2>"] * 12, "label": TWELVE}, {}),
    ("controlled-generation", {"text": [f"text {n}" for n in range(12)], "label": TWELVE}, {"judge": "run:other"}),
]


@pytest.mark.parametrize(("name", "columns", "options"), NUMBERED, ids=[f"{n}{o or ''}" for n, _, o in NUMBERED])
def test_every_task_orders_numbers(name: str, columns: dict[str, list[Any]], options: dict[str, Any]) -> None:
    assert learned(name, columns, **options).labels == TWELVE
    assert learned(name, columns, sorted(TWELVE), **options).labels == sorted(TWELVE), "the order of an older run"


def test_types_of_entities_that_are_numbers() -> None:
    tags = [[f"B-{n}", f"I-{n}", "O"] for n in ("10", "2", "1")]
    columns: dict[str, list[Any]] = {"words": [["a", "b", "c"]] * 3, "tags": tags}
    assert learned("token-classification", columns).labels == ["O", "B-1", "I-1", "B-2", "I-2", "B-10", "I-10"]
    known = ["O", "B-1", "I-1", "B-10", "I-10", "B-2", "I-2"]
    task = learned("token-classification", columns, known)
    assert task.labels == known
    other = learned("token-classification", columns, ["O", "B-7", "I-7"])
    assert other.labels == ["O", "B-1", "I-1", "B-2", "I-2", "B-10", "I-10"], "types of another model are not kept"
