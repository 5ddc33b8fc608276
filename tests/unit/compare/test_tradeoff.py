"""The Pareto front, checked against its definition."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workbench.compare.tradeoff import front_line, pareto_front, summary_sentence, tradeoff_points
from workbench.runs.documents import RunSummary

pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)


def by_definition(quality: list[float], cost: list[float]) -> list[bool]:
    def dominates(j: int, i: int) -> bool:
        no_worse = quality[j] >= quality[i] and cost[j] <= cost[i]
        return no_worse and (quality[j] > quality[i] or cost[j] < cost[i])

    return [not any(dominates(j, i) for j in range(len(quality))) for i in range(len(quality))]


@given(pairs)
def test_the_front_has_the_points_that_no_other_dominates(points: list[tuple[int, int]]) -> None:
    quality, cost = [float(q) for q, _ in points], [float(c) for _, c in points]
    assert pareto_front(quality, cost) == by_definition(quality, cost)
    assert pareto_front(quality, cost, larger_is_better=False) == by_definition([-q for q in quality], cost)


def test_nan_is_never_on_the_front() -> None:
    assert pareto_front([math.nan, 0.5, 0.9], [1, 2, math.nan]) == [False, True, False]
    assert pareto_front([], []) == []


def summary(name: str, value: Any, seconds: Any, **more: Any) -> RunSummary:
    metrics = {"accuracy": {"value": value, "low": None, "high": None}, "loss": {"value": value}}
    report = {"metrics": metrics, "cost": {"seconds": seconds, **more}}
    return RunSummary.load({"id": name, "state": "succeeded", "report": report})


def test_points_and_summary_sentence() -> None:
    runs = [
        summary("good", 0.9, 100, peak_memory_bytes=2e9),
        summary("cheap", 0.8, 10),
        summary("beaten", 0.7, 50),
        summary("none", None, 5),
        RunSummary(id="queued", state="queued", report=None),
        summary("endless", 0.9, math.inf),
    ]
    points = tradeoff_points(runs, "accuracy", "seconds")
    assert [(p.run, p.on_front) for p in points] == [("good", True), ("cheap", True), ("beaten", False)]
    assert front_line(points) == ([10, 100], [0.8, 0.9])
    sentence = summary_sentence(points, {}, "accuracy", "seconds")
    assert sentence.startswith("2 of 3 runs are on the Pareto front") and "at more cost (training time)" in sentence
    assert [p.cost for p in tradeoff_points(runs, "accuracy", "peak_memory_bytes")] == [2.0]
    smaller = tradeoff_points(runs, "loss", "seconds")
    assert [p.run for p in smaller if p.on_front] == ["cheap", "beaten"]
    two_points = tradeoff_points([runs[0], summary("worse", 0.1, 200)], "accuracy", "seconds")
    assert summary_sentence(two_points, {"good": "Good"}, "accuracy", "seconds").startswith("Good is the best")
