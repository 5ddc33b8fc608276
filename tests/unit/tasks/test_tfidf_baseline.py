"""The simple baseline of classification runs, the improvement over it, and class weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from tests.tiny import make_run
from workbench.check import check
from workbench.data.examples import Examples
from workbench.metrics import scores
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.tasks.base import Split
from workbench.tasks.shared.baselines import tfidf
from workbench.tasks.shared.labels import MultiLabel, SingleLabel, balanced_class_weights, weighted_cross_entropy
from workbench.tasks.text_classification import TextClassification
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

TOPICS = ["goal match team league", "bank rate shares profit", "rain wind storm cloud"]


def topic_texts(count: int, seed: int) -> tuple[list[str], Any]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, len(TOPICS), count)
    return [" ".join(generator.permutation(TOPICS[label].split())[:2]) for label in labels], labels


def test_it_learns_words_and_answers_for_other_texts() -> None:
    texts, labels = topic_texts(300, 0)
    others, gold = topic_texts(100, 1)
    assert (tfidf.predict_labels(texts, labels, others, 3) == gold).all()
    assert tfidf.describe(texts).startswith("TF-IDF of words")


def test_it_counts_characters_where_words_are_not_separated() -> None:
    texts, labels = ["股市今天上涨", "今晚球队赢了"] * 120, np.array([0, 1] * 120)
    assert tfidf.describe(texts).startswith("TF-IDF of characters")
    assert tfidf.predict_labels(texts, labels, ["股市下跌", "球队输了"], 2).tolist() == [0, 1]


def test_a_label_of_all_or_of_no_training_example_is_constant() -> None:
    texts, labels = topic_texts(300, 0)
    targets = np.stack([labels == 0, np.ones(300), np.zeros(300)], axis=1).astype(np.float32)
    others, gold = topic_texts(50, 1)
    probabilities = tfidf.predict_label_sets(texts, targets, others)
    assert ((probabilities[:, 0] >= 0.5) == (gold == 0)).all()
    assert (probabilities[:, 1] == 1).all() and (probabilities[:, 2] == 0).all()


def test_texts_without_any_word_do_not_stop_it() -> None:
    texts, labels = [" ", "\u200b"] * 120, np.array([0, 1] * 120)
    assert tfidf.predict_labels(texts, labels, ["", "x"], 2).shape == (2,)


def test_a_sample_with_one_label_predicts_that_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfidf, "MAX_EXAMPLES", 100)
    labels = np.full(300, 2)
    labels[next(i for i in range(300) if i not in tfidf._sample(300))] = 0
    assert tfidf.predict_labels(["some words"] * 300, labels, ["words", ""], 3).tolist() == [2, 2]


def test_few_examples_keep_the_baseline_of_the_majority() -> None:
    texts, labels = topic_texts(tfidf.MIN_EXAMPLES - 1, 0)
    split = Split(Examples({"text": texts}, [f"a:{i}" for i in range(len(texts))]), labels)
    assert TextClassification().baseline_report(split, split, np.eye(3)[labels]) is None


@pytest.mark.parametrize("seed", range(3))
def test_improvements_are_differences_of_the_metrics(seed: int) -> None:
    generator = np.random.default_rng(seed)
    gold, before = generator.integers(0, 4, (2, 200))
    after = np.where(generator.random(200) < 0.5, gold, before)
    result = scores.paired_improvements(gold, before, after, 4)
    for name, metric in [
        ("accuracy", reference.accuracy_score),
        ("macro_f1", lambda a, b: reference.f1_score(a, b, average="macro")),
        ("matthews", reference.matthews_corrcoef),
    ]:
        assert result[name]["value"] == pytest.approx(metric(gold, after) - metric(gold, before))
        assert result[name]["low"] < result[name]["value"] < result[name]["high"]


def test_the_interval_of_an_improvement_is_that_of_pairs() -> None:
    """Hand-worked: 1,000 examples, 30 only the second gets right and 10 only the first: sd = sqrt(40 - 20²/1000)."""
    gold = np.zeros(1000, dtype=np.int64)
    before, after = gold.copy(), gold.copy()
    before[:330], after[:300], after[330:340] = 1, 1, 1
    result = scores.paired_improvements(gold, before, after, 2, resamples=4000)["accuracy"]
    assert result["value"] == pytest.approx(0.020)
    half = 1.96 * np.sqrt(40 - 20**2 / 1000) / 1000
    assert (result["high"] - result["low"]) / 2 == pytest.approx(
        half, rel=0.06
    )  # unpaired it would be three times that


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_report_compares_with_it(multi_label: bool) -> None:
    texts, labels = topic_texts(300, 0)
    others, gold = topic_texts(100, 1)
    outputs = np.eye(3)[np.where(np.arange(100) < 20, (gold + 1) % 3, gold)]  # right for 80 of 100
    if multi_label:
        fields = MultiLabel(0.5).baseline_report(
            texts, others, np.eye(3, dtype=np.float32)[labels], np.eye(3, dtype=np.float32)[gold], outputs
        )
    else:
        fields = SingleLabel().baseline_report(texts, others, labels, gold, outputs)
    assert fields["baseline"]["accuracy"] == 1
    assert fields["gain"]["accuracy"]["value"] == pytest.approx(-0.2)
    assert fields["gain"]["accuracy"]["high"] < 0


def test_a_run_says_that_the_simple_baseline_is_better(workspace: Workspace, tmp_path: Any) -> None:
    texts, labels = topic_texts(400, 0)
    rows = "".join(f"{text},{label}\n" for text, label in zip(texts, labels, strict=True))
    (tmp_path / "topics.csv").write_text("text,label\n" + rows)
    run = make_run(workspace, {"data.train": str(tmp_path / "topics.csv"), "training.max_steps": 1})
    run_folder(run.folder)
    report = Run.open(run.id, workspace).report()
    assert report is not None and report.baseline_name is not None
    assert report.baseline_name.startswith("TF-IDF of words") and report.baseline["accuracy"] == 1
    assert len(report.baselines) == 2, "the majority's metric is kept"
    note = next(note for note in report.notes if "simple baseline" in note)
    assert "is better than this model" in note and "accuracy 1.0000" in note and "Try " in note
    gain = report.gain["accuracy"]
    assert gain.value == pytest.approx((report.metrics["accuracy"].value or 0) - 1)


# -- class weights -----------------------------------------------------------------------------------------------------


def test_balanced_weights_equal_scikit_learns() -> None:
    classes = np.array([0] * 90 + [1] * 9 + [2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=classes)
    np.testing.assert_allclose(balanced_class_weights(classes, 3), expected, rtol=1e-6)


def test_the_weighted_loss_of_a_batch_is_the_mean_of_weighted_losses() -> None:
    logits, classes = torch.randn(6, 3), torch.tensor([0, 0, 1, 2, 2, 2])
    weights = np.array([0.5, 3.0, 1.0], dtype=np.float32)
    losses = functional.cross_entropy(logits, classes, reduction="none").tolist()
    expected = sum(weights[c] * loss for c, loss in zip(classes.tolist(), losses, strict=True)) / 6
    assert weighted_cross_entropy(logits, classes, weights).item() == pytest.approx(expected, rel=1e-5)


def test_with_several_labels_the_examples_with_and_without_one_weigh_the_same() -> None:
    targets = np.zeros((100, 2), dtype=np.float32)
    targets[:10, 0], targets[:50, 1] = 1, 1
    weights = MultiLabel(0.5).balanced_weights(targets, 2)
    np.testing.assert_allclose(weights, [[0.5 / 0.9, 5.0], [1, 1]], rtol=1e-5)
    logits = torch.zeros(100, 2)
    loss = MultiLabel(0.5).weighted_loss(logits, torch.from_numpy(targets), weights)
    assert loss.item() == pytest.approx(np.log(2), rel=1e-5)  # the weights have the mean 1


def test_class_weights_apply_to_training_alone(workspace: Workspace, tmp_path: Any) -> None:
    """Unweighted training never predicts a rare class; with weights it is predicted."""
    generator = np.random.default_rng(0)
    words = ["good", "fine", "nice", "film"]
    rows = []
    for i in range(180):
        last, label = ("bad", "neg") if i % 12 == 0 else ("great", "pos")
        rows.append(f"{' '.join(generator.choice(words, 3))} {last},{label}\n")
    (tmp_path / "rare.csv").write_text("text,label\n" + "".join(rows))
    recalls = []
    for weights in (None, "balanced"):
        changes = {"training.class_weights": weights, "training.epochs": 4, "training.learning_rate": 0.002}
        run = make_run(workspace, {"data.train": str(tmp_path / "rare.csv"), **changes})
        run_folder(run.folder)
        report = Run.open(run.id, workspace).report()
        assert report is not None
        recalls.append(report.per_class["neg"]["recall"])
    assert recalls[1] == 1 and (recalls[0] or 0) < 1


def test_a_task_without_classes_refuses_class_weights(workspace: Workspace, tmp_path: Any) -> None:
    (tmp_path / "a.csv").write_text("text\n" + "some words\n" * 40)
    spec = RunSpec.model_validate(
        {
            "task": "causal-lm",
            "data": str(tmp_path / "a.csv"),
            "model": "minilm",
            "training": {"class_weights": "balanced"},
        }
    )
    problem = next(p for p in check(spec, workspace) if p.field == "training.class_weights")
    assert problem.severity == "error" and "text-classification" in problem.hint
