"""Confusion and calibration: against scikit-learn, scipy, and data whose calibration is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize
from sklearn import metrics

from workbench.compare.calibration import (
    apply_temperature,
    calibration_error,
    fit_temperature,
    reliability_bins,
    temperature_scaling,
)
from workbench.compare.confusion import confusion_matrix


def test_the_matrix_and_the_classes_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(0)
    gold = random.choice(["a", "b", "c"], 80).tolist()
    predicted = [g if random.random() < 0.6 else "d" if random.random() < 0.2 else "a" for g in gold]
    result = confusion_matrix(gold, predicted)
    assert result.labels == ("a", "b", "c", "d")
    np.testing.assert_array_equal(result.counts, metrics.confusion_matrix(gold, predicted, labels=list(result.labels)))
    theirs = metrics.classification_report(gold, predicted, output_dict=True, zero_division=0)
    for label, row in result.per_class().items():
        assert row["precision"] == pytest.approx(theirs[label]["precision"])
        assert row["recall"] == pytest.approx(theirs[label]["recall"])
        assert row["f1"] == pytest.approx(theirs[label]["f1-score"])
        assert row["support"] == theirs[label]["support"]


def test_the_cells_hold_every_example_once() -> None:
    gold, predicted = ["a", "b", "a", "b", "b"], ["a", "a", "b", "b", "a"]
    result = confusion_matrix(gold, predicted)
    assert result.indices("b", "a") == [1, 4] and result.indices("a", "b") == [2]
    every = [index for row in result.labels for column in result.labels for index in result.indices(row, column)]
    assert sorted(every) == list(range(5))
    with pytest.raises(ValueError, match="not in"):
        result.indices("z", "a")


def test_reliability_by_hand() -> None:
    """Two bins: 0.2 and 0.5 with one of two right; 0.75, 0.9 and 1.0 with two of three."""
    result = reliability_bins([0.2, 0.5, 0.75, 0.9, 1.0], [False, True, True, True, False], bins=2)
    assert [(one.low, one.high, one.count) for one in result] == [(0.0, 0.5, 2), (0.5, 1.0, 3)]
    assert result[0].confidence == pytest.approx(0.35) and result[0].accuracy == 0.5
    by_hand = (2 * abs(0.5 - 0.35) + 3 * abs(2 / 3 - 2.65 / 3)) / 5
    assert calibration_error(result) == pytest.approx(by_hand)
    assert calibration_error([]) == 0


@pytest.mark.parametrize(
    ("confidence", "correct", "message"),
    [([0.1], [True, True], "do not match"), ([1.1], [True], "between"), ([np.nan], [True], "between")],
)
def test_invalid_confidences_are_refused(confidence: list[float], correct: list[bool], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reliability_bins(confidence, correct)


def drawn(count: int, sharpened: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are too sure by the factor ``sharpened``, and classes drawn by the true ones."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (count, 4))
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    gold = np.array([random.choice(4, p=row) for row in true])
    return apply_temperature(true, 1 / sharpened), gold


@pytest.mark.parametrize("sharpened", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_recovered(sharpened: float) -> None:
    table, gold = drawn(6000, sharpened)
    assert fit_temperature(table, gold) == pytest.approx(sharpened, rel=0.06)
    loss = lambda t: -np.log(apply_temperature(table, t)[np.arange(len(gold)), gold]).mean()  # noqa: E731
    theirs = optimize.minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-6}).x
    assert fit_temperature(table, gold) == pytest.approx(theirs, rel=1e-3)


def test_overconfidence_is_corrected_and_calibrated_runs_are_not_changed() -> None:
    table, gold = drawn(6000, 3.0)
    result = temperature_scaling(table, gold)
    assert result.error_before > 0.15 and result.error_after < 0.04 and result.temperature > 2.5
    honest = temperature_scaling(*drawn(6000, 1.0))
    assert honest.error_before < 0.04 and honest.error_after < 0.04
    assert (apply_temperature(table, 3.0).argmax(1) == table.argmax(1)).all()  # no answer changes


def test_probabilities_of_zero_are_allowed() -> None:
    table = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    assert 0.05 <= fit_temperature(table, [1, 1, 0, 1]) <= 20
    with pytest.raises(ValueError, match="Two examples"):
        temperature_scaling(table[:1], [0])


def test_the_most_confused_classes_and_pairs() -> None:
    gold = ["a"] * 5 + ["b"] * 5 + ["c"] * 5 + ["d"] * 5
    predicted = ["a"] * 5 + ["c"] * 3 + ["b"] * 2 + ["b"] * 2 + ["c"] * 3 + ["a"] + ["d"] * 4
    counted = confusion_matrix(gold, predicted)
    assert counted.most_confused() == [("b", "c", 3), ("c", "b", 2), ("d", "a", 1)]
    worst = counted.worst(2)
    assert worst.labels == ("b", "c") and worst.counts.tolist() == [[2, 3], [2, 3]]
    assert worst.indices("b", "c") == counted.indices("b", "c") == [5, 6, 7]
    assert counted.worst(4) is counted
