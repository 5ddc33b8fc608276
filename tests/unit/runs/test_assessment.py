"""The rule that says whether a run is ready, on reports that meet it but for one thing."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.notes import OUT_OF_TIME
from workbench.runs.documents import Report
from workbench.runs.verdict.assessment import assess, improvement

GOOD: dict[str, Any] = {
    "metrics": {"accuracy": {"value": 0.80, "low": 0.78, "high": 0.83}},
    "baseline": {"accuracy": 0.70},
    "gain": {"accuracy": {"value": 0.10, "low": 0.06, "high": 0.14}},
    "primary_metric": "accuracy",
    "evaluated_on": "test",
    "examples": {"test": 1000},
}
WORSE = {"accuracy": {"value": -0.1, "low": -0.2, "high": -0.05}}
UNCERTAIN = {"accuracy": {"value": 0.02, "low": -0.02, "high": 0.06}}


def level(**changes: Any) -> str:
    assessment = assess(Report.load({**GOOD, **changes}))
    assert assessment is not None
    return assessment.level


def test_a_run_that_meets_every_rule_is_ready() -> None:
    assessment = assess(Report.load(GOOD))
    assert assessment is not None and assessment.level == "ready" and not assessment.findings


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"examples": {"test": 99}}, "too little data"),
        ({"examples": {"test": 100}}, "ready"),
        ({"examples": {}}, "ready"),  # reports of early versions do not count them
        ({"gain": {"accuracy": {"value": 0.0, "low": -0.02, "high": 0.02}}}, "not yet"),
        ({"gain": WORSE}, "not yet"),
        ({"gain": UNCERTAIN}, "not yet"),
        ({"gain": UNCERTAIN, "examples": {"test": 400}}, "too little data"),
        ({"gain": WORSE, "examples": {"test": 20}}, "too little data"),
        ({"gain": {}}, "ready"),  # the interval of the metric excludes the baseline
        ({"gain": {}, "baseline": {"accuracy": 0.79}}, "not yet"),
        ({"evaluated_on": "valid", "examples": {"valid": 1000}}, "not yet"),
        ({"notes": [OUT_OF_TIME.format(step=10, steps=100)]}, "not yet"),
        ({"notes": ["The weights of step 5 are kept: its evaluation was the best."]}, "ready"),
        ({"notes": ["test: 3 texts are in train too."], "warnings": ["test: 3 texts are in train too."]}, "not yet"),
    ],
)  # fmt: skip
def test_one_thing_that_is_missing_decides(changes: dict[str, Any], expected: str) -> None:
    assert level(**changes) == expected


def test_every_reason_is_listed_and_the_first_decides() -> None:
    report = Report.load({**GOOD, "examples": {"test": 50}, "warnings": ["x"], "gain": UNCERTAIN})
    assessment = assess(report)
    assert assessment is not None and assessment.level == "too little data"
    assert [finding.level for finding in assessment.findings] == ["too little data", "too little data", "not yet"]


def test_the_number_of_examples_that_would_show_the_difference() -> None:
    """An interval shrinks with the root of the number of examples: here it must be half as wide, so four times 400."""
    assessment = assess(Report.load({**GOOD, "examples": {"test": 400}, "gain": UNCERTAIN}))
    assert assessment is not None and "about 1,600 would" in assessment.findings[0].advice


def test_of_a_loss_smaller_is_better() -> None:
    loss = {"metrics": {"loss": {"value": 2.0, "low": 1.9, "high": 2.2}}, "primary_metric": "loss", "gain": {}}
    better = Report.load({**GOOD, **loss, "baseline": {"loss": 3.0}})
    gain = improvement(better, "loss")
    assert (gain.value, gain.low, gain.high) == pytest.approx((1.0, 0.8, 1.1))
    assert assess(better).level == "ready"  # type: ignore[union-attr]
    assert level(**loss, baseline={"loss": 1.5}) == "not yet"


def test_without_a_metric_or_a_baseline_there_is_no_assessment() -> None:
    assert assess(Report.load({})) is None
    assert assess(Report.load({**GOOD, "baseline": {}})) is None


def test_more_epochs_are_suggested_where_the_last_evaluation_was_the_best() -> None:
    assessment = assess(Report.load({**GOOD, "steps": 120, "best_step": 120}))
    assert assessment is not None and assessment.level == "ready" and "more epochs" in assessment.remark
