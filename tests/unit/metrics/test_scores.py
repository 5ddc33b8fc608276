"""Classification metrics, checked against scikit-learn and by hand; intervals checked by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from workbench.metrics import scores


def sample(classes: int, examples: int = 300, accuracy: float = 0.6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    gold = generator.integers(0, classes, examples)
    noise = generator.integers(0, classes, examples)
    return gold, np.where(generator.random(examples) < accuracy, gold, noise)


@pytest.mark.parametrize("classes", [2, 3, 20])
@pytest.mark.parametrize("seed", [0, 1])
def test_class_metrics_agree_with_scikit_learn(classes: int, seed: int) -> None:
    gold, predicted = sample(classes, seed=seed)
    counts = scores.confusion_matrix(gold, predicted, classes)
    assert (counts == reference.confusion_matrix(gold, predicted, labels=range(classes))).all()
    assert scores.class_scores(counts) == pytest.approx(
        {
            "accuracy": reference.accuracy_score(gold, predicted),
            "macro_f1": reference.f1_score(gold, predicted, average="macro"),
            "matthews": reference.matthews_corrcoef(gold, predicted),
        }
    )


def test_metrics_where_they_are_undefined() -> None:
    one_class = scores.confusion_matrix([0, 0, 1], [0, 0, 0], 2)
    assert scores.class_scores(one_class) == pytest.approx({"accuracy": 2 / 3, "macro_f1": 0.4, "matthews": 0.0})
    absent_class = scores.confusion_matrix([0, 1], [0, 1], 3)  # class 2 occurs nowhere: it does not lower the mean
    assert scores.class_scores(absent_class) == pytest.approx({"accuracy": 1, "macro_f1": 1, "matthews": 1})
    assert scores.class_scores(np.zeros((2, 2), int)) == {"accuracy": 0.0, "macro_f1": 0.0, "matthews": 0.0}


def test_leading_axes_are_broadcast() -> None:
    tables = np.stack([scores.confusion_matrix(*sample(4, seed=s), 4) for s in range(6)]).reshape(2, 3, 4, 4)
    for metric in scores.CLASS_METRICS.values():
        each = [[float(metric(tables[i, j])) for j in range(3)] for i in range(2)]
        np.testing.assert_allclose(metric(tables), each)


def test_per_class_agrees_with_scikit_learn() -> None:
    gold, predicted = sample(3)
    result = scores.per_class(scores.confusion_matrix(gold, predicted, 3), ["a", "b", "c"])
    expected = reference.classification_report(gold, predicted, target_names=["a", "b", "c"], output_dict=True)
    for label in "abc":
        assert result[label] == pytest.approx(
            {
                "precision": expected[label]["precision"],
                "recall": expected[label]["recall"],
                "f1": expected[label]["f1-score"],
                "support": expected[label]["support"],
            }
        )


def test_invalid_input_is_refused() -> None:
    with pytest.raises(ValueError, match="0 to 1 is allowed"):
        scores.confusion_matrix([0, 2], [0, 1], 2)
    with pytest.raises(ValueError, match="2 gold labels and 1 predictions"):
        scores.confusion_matrix([0, 1], [0], 2)
    with pytest.raises(ValueError, match="one shape"):
        scores.label_counts([[1, 0]], [[1, 0, 1]])


def test_multi_label_metrics_agree_with_scikit_learn() -> None:
    generator = np.random.default_rng(3)
    gold = generator.random((200, 5)) < 0.3
    predicted = gold ^ (generator.random((200, 5)) < 0.15)
    assert scores.label_scores(gold, predicted) == pytest.approx(
        {
            "accuracy": reference.accuracy_score(gold, predicted),
            "micro_f1": reference.f1_score(gold, predicted, average="micro"),
            "macro_f1": reference.f1_score(gold, predicted, average="macro"),
            "matthews": reference.matthews_corrcoef(gold.ravel(), predicted.ravel()),
        }
    )
    first = scores.per_label(scores.label_counts(gold, predicted), list("abcde"))["a"]
    precision, recall, f1, support = reference.precision_recall_fscore_support(gold, predicted)
    assert [first[k] for k in ("precision", "recall", "f1", "support")] == pytest.approx(
        [precision[0], recall[0], f1[0], support[0]]
    )


def test_bootstrap_interval_equals_resampling_examples() -> None:
    gold, predicted = sample(3, examples=200)
    generator = np.random.default_rng(5)
    resampled = []
    for _ in range(3000):
        indices = generator.integers(0, 200, 200)
        resampled.append(scores.class_scores(scores.confusion_matrix(gold[indices], predicted[indices], 3)))
    intervals = scores.bootstrap_intervals(scores.confusion_matrix(gold, predicted, 3), resamples=3000, seed=1)
    for name, (low, high) in intervals.items():
        expected = np.quantile([d[name] for d in resampled], [0.025, 0.975])
        assert [low, high] == pytest.approx(expected, abs=0.012), name


def test_bootstrap_in_small_chunks_has_all_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = scores.confusion_matrix(*sample(4), 4)
    monkeypatch.setattr(scores, "_MAX_CELLS", 16 * 7)
    chunks = list(scores.resample_counts(counts.ravel(), 100, np.random.default_rng(0)))
    assert [len(c) for c in chunks] == [7] * 14 + [2]
    assert all((c.sum(axis=1) == counts.sum()).all() for c in chunks)
    low, high = scores.bootstrap_intervals(counts, resamples=500)["accuracy"]
    assert low < float(scores.accuracy(counts)) < high


def test_bootstrap_is_seeded_and_survives_empty_input() -> None:
    counts = scores.confusion_matrix(*sample(2), 2)
    assert scores.bootstrap_intervals(counts, 200, seed=4) == scores.bootstrap_intervals(counts, 200, seed=4)
    assert scores.bootstrap_intervals(counts, 200, seed=4) != scores.bootstrap_intervals(counts, 200, seed=5)
    assert scores.bootstrap_intervals(np.zeros((2, 2), int))["accuracy"] == (0.0, 0.0)
    empty = np.zeros((0, 3), bool)
    assert scores.bootstrap_label_intervals(empty, empty)["micro_f1"] == (0.0, 0.0)
    assert scores.label_scores(empty, empty)["accuracy"] == 0.0


def test_multi_label_interval_contains_the_value() -> None:
    generator = np.random.default_rng(3)
    gold = generator.random((150, 4)) < 0.4
    predicted = gold ^ (generator.random((150, 4)) < 0.2)
    intervals = scores.bootstrap_label_intervals(gold, predicted, resamples=500)
    for name, value in scores.label_scores(gold, predicted).items():
        low, high = intervals[name]
        assert low < value < high and high - low < 0.25


def test_interval_of_accuracy_covers_the_truth_about_95_times_in_100() -> None:
    generator = np.random.default_rng(11)
    truth, examples, trials = 0.8, 200, 300
    covered = 0
    for trial in range(trials):
        n_correct = generator.binomial(examples, truth)
        low, high = scores.bootstrap_intervals([[n_correct, examples - n_correct], [0, 0]], resamples=400, seed=trial)[
            "accuracy"
        ]
        covered += low <= truth <= high
    assert 0.90 <= covered / trials <= 0.985
