"""Slices, thresholds and label issues, checked against SciPy, scikit-learn, by hand and with planted errors."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from workbench.compare.label_errors import find_label_issues
from workbench.compare.slices import slices_by_length, slices_by_value, wilson_interval
from workbench.compare.thresholds import best_threshold, f1_at, precision_recall

# -- slices


@pytest.mark.parametrize(("n_correct", "count"), [(0, 1), (1, 1), (7, 20), (500, 1000), (0, 40), (29, 30)])
def test_wilsons_interval_agrees_with_scipy(n_correct: int, count: int) -> None:
    reference = stats.binomtest(n_correct, count).proportion_ci(method="wilson")
    assert wilson_interval(n_correct, count) == pytest.approx((reference.low, reference.high), abs=1e-6)


@pytest.mark.parametrize(("n_correct", "count"), [(2, 1), (-1, 3), (0, 0)])
def test_invalid_shares_are_refused(n_correct: int, count: int) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        wilson_interval(n_correct, count)


def test_a_slice_for_each_value_the_worst_first() -> None:
    slices = slices_by_value(["a", "b", None, "a", "b", "c"], [True, False, True, True, True, True])
    assert [(each.name, each.indices, each.n_correct) for each in slices] == [
        ("b", (1, 4), 1),
        ("a", (0, 3), 2),
        ("c", (5,), 1),
    ]
    assert all(each.is_small for each in slices)
    assert not slices_by_value(["a"] * 30, [True] * 30)[0].is_small


def test_slices_by_length_contain_every_text_once() -> None:
    texts = ["x" * length for length in (1, 2, 3, 4, 5, 6, 7, 8)]
    slices = slices_by_length(texts, [True] * 4 + [False] * 4)
    assert [(each.name, each.indices) for each in slices] == [
        ("1 to 2 characters", (0, 1)),
        ("3 to 4 characters", (2, 3)),
        ("5 to 6 characters", (4, 5)),
        ("7 to 8 characters", (6, 7)),
    ]
    assert [each.share for each in slices] == [1, 1, 0, 0]


@pytest.mark.parametrize("lengths", [[3, 3, 3], [0], [1, 1, 1, 9], [5, 1, 4, 1, 5, 9, 2, 6], []])
def test_texts_of_one_length_are_in_one_slice(lengths: list[int]) -> None:
    slices = slices_by_length(["x" * length for length in lengths], [True] * len(lengths))
    assert sorted(index for each in slices for index in each.indices) == list(range(len(lengths)))
    lengths_of_slices = [{lengths[index] for index in each.indices} for each in slices]
    assert all(max(a) < min(b) for a, b in pairwise(lengths_of_slices))


# -- thresholds


@pytest.mark.parametrize("seed", range(4))
def test_the_curve_agrees_with_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.random(60) < 0.3
    scores = np.round(random.random(60) * 0.6 + truth * 0.3, 1)  # rounded: many are the same
    curve = precision_recall(scores, truth)
    precision, recall, thresholds = metrics.precision_recall_curve(truth, scores)
    np.testing.assert_allclose(curve.thresholds, thresholds[::-1])
    np.testing.assert_allclose(curve.precision, precision[:-1][::-1])
    np.testing.assert_allclose(curve.recall, recall[:-1][::-1])
    assert curve.average_precision == pytest.approx(metrics.average_precision_score(truth, scores))
    for threshold, f1 in zip(curve.thresholds, curve.f1, strict=True):
        assert f1 == pytest.approx(metrics.f1_score(truth, scores >= threshold))
        assert f1 == pytest.approx(f1_at(scores, truth, threshold))


def test_the_best_threshold_is_evaluated_on_the_other_half() -> None:
    random = np.random.default_rng(0)
    truth = random.random(4000) < 0.2
    scores = np.clip(random.normal(0.15 + 0.15 * truth, 0.08), 0, 1)  # nearly all below 0.5
    best = best_threshold(scores, truth)
    assert 0.15 < best.threshold < 0.35 and best.default_f1 < 0.1
    assert best.held_out_f1 == pytest.approx(best.tuned_f1, abs=0.06)
    # Random scores: the best of many thresholds looks better where it was selected than elsewhere.
    gains = [best_threshold(random.random(60), random.random(60) < 0.3, seed) for seed in range(60)]
    assert np.mean([each.tuned_f1 - each.held_out_f1 for each in gains]) > 0.02


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        ([0.1], [True, False], "do not match"),
        ([0.1, 0.2], [False, False], "No example"),
        ([np.nan], [True], "not a number"),
    ],
)
def test_invalid_input_of_a_curve_is_refused(scores: list[float], truth: list[bool], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        precision_recall(scores, truth)


# -- labels


def test_label_issues_by_hand() -> None:
    """Averages: a 0.68 (of 0.9, 0.8, 0.35), b 0.6 (of 0.8, 0.4). The third example reaches b's, the fifth neither."""
    probabilities = [[0.9, 0.1], [0.8, 0.2], [0.35, 0.65], [0.2, 0.8], [0.6, 0.4]]
    issues = find_label_issues(probabilities, ["a", "a", "a", "b", "b"], ["a", "b"])
    assert [(issue.index, issue.label, issue.suggested) for issue in issues] == [(2, "a", "b")]
    assert issues[0].margin == pytest.approx(0.3)


def test_planted_label_errors_are_detected_most_certain_first() -> None:
    random = np.random.default_rng(1)
    true = random.integers(0, 3, 600)
    probabilities = random.dirichlet([1, 1, 1], 600) * 0.3 + 0.7 * np.eye(3)[true]
    labels = ["x", "y", "z"]
    mislabelled = set(random.choice(600, 30, replace=False).tolist())
    assigned = [labels[(k + 1) % 3] if i in mislabelled else labels[k] for i, k in enumerate(true)]
    issues = find_label_issues(probabilities, assigned, labels)
    assert {issue.index for issue in issues} < mislabelled and len(issues) > 10  # uncertain examples are not reported
    assert all(issue.suggested == labels[true[issue.index]] for issue in issues)
    assert [issue.margin for issue in issues] == sorted((issue.margin for issue in issues), reverse=True)


def test_a_class_without_examples_is_never_suggested() -> None:
    assert find_label_issues([[0.1, 0.9], [0.2, 0.8]], ["a", "a"], ["a", "b"]) == []
    assert find_label_issues(np.zeros((0, 2)), [], ["a", "b"]) == []


@pytest.mark.parametrize(
    ("probabilities", "assigned", "message"),
    [([[0.5, 0.5]], ["a", "b"], "shape"), ([[0.5, 0.5]], ["c"], "'c'"), ([[np.nan, 1]], ["a"], "not a number")],
)
def test_mismatched_probabilities_are_refused(
    probabilities: list[list[float]], assigned: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        find_label_issues(probabilities, assigned, ["a", "b"])
