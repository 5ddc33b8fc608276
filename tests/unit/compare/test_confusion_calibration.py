"""Confusion matrices and calibration, checked against scikit-learn, SciPy, and data of known calibration."""

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
    matrix = confusion_matrix(gold, predicted)
    assert matrix.labels == ("a", "b", "c", "d")
    np.testing.assert_array_equal(matrix.counts, metrics.confusion_matrix(gold, predicted, labels=list(matrix.labels)))
    reference = metrics.classification_report(gold, predicted, output_dict=True, zero_division=0)
    for label, row in matrix.per_class().items():
        assert row["precision"] == pytest.approx(reference[label]["precision"])
        assert row["recall"] == pytest.approx(reference[label]["recall"])
        assert row["f1"] == pytest.approx(reference[label]["f1-score"])
        assert row["support"] == reference[label]["support"]


def test_each_example_is_in_one_cell() -> None:
    gold, predicted = ["a", "b", "a", "b", "b"], ["a", "a", "b", "b", "a"]
    matrix = confusion_matrix(gold, predicted)
    assert matrix.indices("b", "a") == [1, 4] and matrix.indices("a", "b") == [2]
    all_indices = [index for row in matrix.labels for column in matrix.labels for index in matrix.indices(row, column)]
    assert sorted(all_indices) == list(range(5))
    with pytest.raises(ValueError, match="not in"):
        matrix.indices("z", "a")


def test_reliability_by_hand() -> None:
    """Two bins: 0.2 and 0.5 with one of two correct; 0.75, 0.9 and 1.0 with two of three."""
    bins = reliability_bins([0.2, 0.5, 0.75, 0.9, 1.0], [False, True, True, True, False], bins=2)
    assert [(each.low, each.high, each.count) for each in bins] == [(0.0, 0.5, 2), (0.5, 1.0, 3)]
    assert bins[0].confidence == pytest.approx(0.35) and bins[0].accuracy == 0.5
    expected = (2 * abs(0.5 - 0.35) + 3 * abs(2 / 3 - 2.65 / 3)) / 5
    assert calibration_error(bins) == pytest.approx(expected)
    assert calibration_error([]) == 0


@pytest.mark.parametrize(
    ("confidence", "correct", "message"),
    [([0.1], [True, True], "do not match"), ([1.1], [True], "between"), ([np.nan], [True], "between")],
)
def test_invalid_confidences_are_refused(confidence: list[float], correct: list[bool], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reliability_bins(confidence, correct)


def make_probabilities(count: int, sharpened: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities overconfident by the factor ``sharpened``, and classes sampled from the true ones."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (count, 4))
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    gold = np.array([random.choice(4, p=row) for row in true])
    return apply_temperature(true, 1 / sharpened), gold


@pytest.mark.parametrize("sharpened", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_recovered(sharpened: float) -> None:
    probabilities, gold = make_probabilities(6000, sharpened)
    assert fit_temperature(probabilities, gold) == pytest.approx(sharpened, rel=0.06)
    loss = lambda t: -np.log(apply_temperature(probabilities, t)[np.arange(len(gold)), gold]).mean()  # noqa: E731
    reference = optimize.minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-6}).x
    assert fit_temperature(probabilities, gold) == pytest.approx(reference, rel=1e-3)


def test_overconfidence_is_corrected_and_calibrated_runs_are_not_changed() -> None:
    probabilities, gold = make_probabilities(6000, 3.0)
    overconfident = temperature_scaling(probabilities, gold)
    assert overconfident.error_before > 0.15 and overconfident.error_after < 0.04 and overconfident.temperature > 2.5
    calibrated = temperature_scaling(*make_probabilities(6000, 1.0))
    assert calibrated.error_before < 0.04 and calibrated.error_after < 0.04
    assert (apply_temperature(probabilities, 3.0).argmax(1) == probabilities.argmax(1)).all()  # no prediction changes


def test_probabilities_of_zero_are_allowed() -> None:
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    assert 0.05 <= fit_temperature(probabilities, [1, 1, 0, 1]) <= 20
    with pytest.raises(ValueError, match="Two examples"):
        temperature_scaling(probabilities[:1], [0])


def test_the_most_confused_classes_and_pairs() -> None:
    gold = ["a"] * 5 + ["b"] * 5 + ["c"] * 5 + ["d"] * 5
    predicted = ["a"] * 5 + ["c"] * 3 + ["b"] * 2 + ["b"] * 2 + ["c"] * 3 + ["a"] + ["d"] * 4
    matrix = confusion_matrix(gold, predicted)
    assert matrix.most_confused() == [("b", "c", 3), ("c", "b", 2), ("d", "a", 1)]
    worst = matrix.worst(2)
    assert worst.labels == ("b", "c") and worst.counts.tolist() == [[2, 3], [2, 3]]
    assert worst.indices("b", "c") == matrix.indices("b", "c") == [5, 6, 7]
    assert matrix.worst(4) is matrix
