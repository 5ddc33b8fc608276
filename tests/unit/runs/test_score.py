"""The score of a run in a sentence and in a picture."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from workbench.runs.documents import Report
from workbench.runs.verdict.score import BLUE, PALE, comparison, hundredths, picture, score_of, sentence

TFIDF = "TF-IDF of words with logistic regression, trained on the same examples"
REPORT: dict[str, Any] = {
    "metrics": {"accuracy": {"value": 0.802, "low": 0.781, "high": 0.826}},
    "baseline": {"accuracy": 0.71},
    "baseline_name": TFIDF,
    "baselines": {TFIDF: 0.71, "always 'fresh' (most frequent in training)": 0.58},
    "primary_metric": "accuracy",
    "evaluated_on": "test",
}
SVG = "{http://www.w3.org/2000/svg}"


def score(**changes: Any) -> Any:
    return score_of(Report.load({**REPORT, **changes}), changes.get("task", "text-classification"))


def test_an_accuracy_is_counted_in_a_hundred() -> None:
    assert sentence(score()) == "Right in 80 of 100 new texts (between 78 and 83)."
    assert comparison(score()) == "Always guessing the most frequent label: 58; counting words (TF-IDF): 71."
    assert "validation texts" in sentence(score(evaluated_on="valid"))


def test_other_metrics_are_a_value_with_its_interval() -> None:
    other = score(
        metrics={"loss": {"value": 2.33, "low": 2.2, "high": 2.4}}, primary_metric="loss", baseline={"loss": 6.1},
        baselines={}, baseline_name="token frequencies", smaller_is_better=True,
    )  # fmt: skip
    assert "lower is better" in sentence(other) and "2.33 (between 2.2 and 2.4)" in sentence(other)
    assert comparison(other) == "Token frequencies: 6.1."
    assert len(list(ElementTree.fromstring(picture(other)).iter(f"{SVG}rect"))) == 3  # the frame, the bar, the interval


def test_dots_count_what_is_right_for_sure_and_perhaps() -> None:
    root = ElementTree.fromstring(picture(score()))
    fills = [dot.get("fill") for dot in root.iter(f"{SVG}circle")]
    assert len(fills) == 100
    assert fills.count(BLUE) == 78 and fills.count(PALE) == 5  # 78 to 83
    assert root.get("role") == "img" and "Right in 80 of 100" in str(root.get("aria-label"))


@pytest.mark.parametrize(("share", "text"), [(0.0, "0"), (1.0, "100"), (0.999, "99.9"), (0.001, "0.1"), (0.5, "50")])
def test_only_all_is_a_hundred(share: float, text: str) -> None:
    assert hundredths(share) == text


def test_names_of_baselines_are_text() -> None:
    hostile = score(baselines={"<script>alert(1)</script>": 0.5})
    assert "<script>" not in picture(hostile)
    ElementTree.fromstring(picture(hostile))


def test_a_run_without_a_score_has_none() -> None:
    assert score_of(Report.load({})) is None
