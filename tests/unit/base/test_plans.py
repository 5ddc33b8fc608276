"""Fast, Balanced and Best: specs that can be run as they are, and how long they take, roughly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import write_csv
from workbench.check import check
from workbench.check.plans import make_plans
from workbench.data.catalogue.entries import catalogue
from workbench.models.base import VOCABULARY_HEADS, models
from workbench.spec import RunSpec
from workbench.tasks.base import tasks
from workbench.training.core import rough_cost
from workbench.workspace import Workspace


def test_the_plans_of_a_file_can_be_run(tmp_path: Path, workspace: Workspace) -> None:
    data = str(write_csv(tmp_path / "reviews.csv"))
    spec = RunSpec.parse({"task": "text-classification", "data": data, "model": "auto"})
    plans = make_plans(spec, workspace)
    assert [(plan.name, plan.spec.tuning.method) for plan in plans] == [
        ("fast", "head"),
        ("balanced", "lora"),
        ("best", "full"),
    ]
    for plan in plans:
        assert plan.spec.data == spec.data and not any(
            problem.severity == "error" and problem.field != "model" for problem in check(plan.spec, workspace)
        )


@pytest.mark.parametrize("task", tasks.names())
def test_every_plan_has_a_model_with_the_head_of_the_task(task: str, workspace: Workspace) -> None:
    plans = make_plans(RunSpec.parse({"task": task, "data": "no-such.csv", "model": "auto"}), workspace)
    if tasks.get(task)().head in VOCABULARY_HEADS:
        assert "head" not in [plan.spec.tuning.method for plan in plans], "nothing would be left to train"
    for plan in plans:
        heads = models.get(plan.spec.model.source).heads
        assert heads is None or tasks.get(task)().head in heads
    assert len({plan.spec.tuning.method for plan in plans}) == len(plans)


def test_the_rough_time_counts_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: 1,000 weights in 10 / 12 layers, so to say, at 1e6 operations in a second."""
    monkeypatch.setattr(rough_cost, "machine_rate", lambda: 1e6)
    monkeypatch.setattr(rough_cost, "START_SECONDS", 0.0)
    monkeypatch.setattr(rough_cost, "FASTEST", 1.0)
    monkeypatch.setattr(rough_cost, "SLOWEST", 4.0)
    size = {"layers": 1, "width": 10, "tokens": 10.0, "examples": 64, "held_out": 10}  # 12 x 1 x 10² = 1,200 weights
    full = rough_cost.rough_seconds("full", **size, min_steps=100)  # type: ignore[arg-type]  # 2 steps an epoch: 20
    answers = (20 + 2) * 10 * 2
    assert full.low == pytest.approx(1200 * 10 * (6 * 20 * 64 + answers) / 1e6)
    assert full.high == pytest.approx(4 * (full.low or 0)) and full.value == pytest.approx(2 * (full.low or 0))
    head = rough_cost.rough_seconds("head", **size, min_steps=100)  # type: ignore[arg-type]  # the body runs once
    assert head.low == pytest.approx(1200 * 10 * (2 * 64 + 3 * 10 * 2) / 1e6)


def test_the_size_of_a_model_is_that_of_its_label() -> None:
    for entry in catalogue().models.values():
        assert f"({entry.layers} layers of {entry.width}," in entry.label
