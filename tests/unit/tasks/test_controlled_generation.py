"""Controlled generation: the controls, the judge that checks them, and the texts that the judge was trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tests.tiny import assert_gains_agree
from tests.unit.tasks.test_prompted_tasks import examples_of, make_model, make_task
from workbench.data.examples import Examples
from workbench.data.text.tokenizers import TokenizerSpec, train_tokenizer
from workbench.errors import DataError, SpecError
from workbench.tasks.answers import ScoredLabels
from workbench.tasks.contexts import FinishContext
from workbench.tasks.shared.judge import BagOfWords, features

NAME = "controlled-generation"


def fitted(**options: Any) -> tuple[Any, Examples]:
    task, examples = make_task(NAME, **options), examples_of(NAME)
    task.fit(examples)
    return task, examples


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    task, examples = fitted()
    return train_tokenizer(task.texts(examples), TokenizerSpec(train="bpe", vocab_size=400))


# -- the judge ---------------------------------------------------------------------------------------------------


def test_the_judge_is_naive_bayes() -> None:
    """Compare with scikit-learn's classifier on binary word features."""
    feature_extraction = pytest.importorskip("sklearn.feature_extraction")
    naive_bayes = pytest.importorskip("sklearn.naive_bayes")
    examples = examples_of(NAME)
    texts, labels = examples.columns["text"], [int(label == "good") for label in examples.columns["label"]]
    labels[:12] = [0] * 12
    ours = BagOfWords(texts[:25], labels[:25], 2)
    vectorizer = feature_extraction.DictVectorizer()
    rows = vectorizer.fit_transform([dict.fromkeys(features(text), 1) for text in texts[:25]])
    theirs = naive_bayes.MultinomialNB().fit(rows, labels[:25])
    theirs.class_log_prior_ = np.log((np.bincount(labels[:25]) + 1) / 27)  # our prior is smoothed too
    queries = [*texts[25:], "nothing known at all", ""]
    expected = theirs.predict(vectorizer.transform([dict.fromkeys(features(text), 1) for text in queries]))
    assert ours.predict(queries).tolist() == expected.tolist()


def test_the_model_is_not_trained_on_the_judges_texts(tokenizer: Any) -> None:
    task, examples = fitted(judge_share=0.4)
    assert len(task.held_out) == 16
    encoded = task.encode(tokenizer, examples, 64, training=True)
    assert set(encoded.targets.document) == set(range(40)) - task.held_out
    assert len(task.encode(tokenizer, examples, 64)) == 40, "evaluation uses the whole split"
    again, _ = fitted(judge_share=0.4)
    assert again.held_out == task.held_out, "a resumed run has the same division"


def test_without_labels_no_text_is_held_out(tokenizer: Any) -> None:
    task, examples = fitted(label=False)
    assert task.held_out == frozenset() and [column.role for column in task.columns()] == ["text"]
    assert len(task.encode(tokenizer, examples, 64, training=True)) == 40
    assert set(task.text_measures()) == {"length_obeyed", "keyword_obeyed"}


def test_another_run_can_judge(tokenizer: Any) -> None:
    task, examples = fitted(judge="run:abc", written=10, max_new_tokens=5)
    assert task.held_out == frozenset()
    judges: list[str] = []

    def predict_with_run(run: str, inputs: Any) -> list[ScoredLabels]:
        judges.append(run)
        return [ScoredLabels.of({"good": 1.0, "bad": 0.0}) for _ in inputs]

    task.predict_with_run = predict_with_run
    model = make_model("ours", len(tokenizer))
    task.configure(model)
    assert judges == ["abc"], "the judge is tried before training, so that a wrong one fails early"
    encoded = task.encode(tokenizer, examples, 64)
    outputs = task.finish(FinishContext(model, tokenizer, 64, examples, encoded, np.ones((40, 3))))
    report = task.report(outputs, encoded.targets, encoded.targets)
    assert_gains_agree(report)
    assert "label_obeyed" in report["gain"]
    assert report["judge"] == {"name": "run:abc", "accuracy": 0.5, "examples": 40}
    is_good = [examples.columns["label"][i] == "good" for i in outputs.chosen]
    not_empty = [bool(text) for text in outputs.texts]
    expected = np.mean([a and b for a, b in zip(is_good, not_empty, strict=True)])
    assert report["metrics"]["label_obeyed"]["value"] == pytest.approx(expected)


def test_a_judge_of_other_labels_is_refused() -> None:
    task, _ = fitted(judge="run:abc")
    task.predict_with_run = lambda run, inputs: [ScoredLabels.of({"x": 1.0}) for _ in inputs]
    with pytest.raises(SpecError, match="trained on the same labels"):
        task.configure(make_model("ours", 100))


# -- controls ----------------------------------------------------------------------------------------------------


def test_controls_by_hand() -> None:
    task, _ = fitted(short=3, long=5)
    examples = Examples({"text": ["a b", "a b c", "a b c d e", "a b c d e f"], "label": ["x"] * 4}, ["t"] * 4)
    lengths = [task.controls(examples, i)["length"] for i in range(4)]
    assert lengths == ["short", "medium", "medium", "long"]
    assert task.example_inputs(examples, 0) == {"label": "x", "length": "short", "keyword": None}
    assert task.example_target(examples, 0) == "a b"


def test_a_keyword_is_a_rare_word_of_the_text() -> None:
    task, examples = fitted()
    words = [task.keyword_of(text) for text in examples.columns["text"]]
    assert all(
        w is None or (w in t and w not in task.frequent) for w, t in zip(words, examples.columns["text"], strict=True)
    )
    assert any(words) and task.keyword_of("a an 12345 of") is None


def test_obedience_by_hand() -> None:
    task, _ = fitted(short=3, long=5)
    task._judge = lambda texts: ["good" if "great" in text else "bad" for text in texts]
    task.keyword_of = lambda text: "camera"
    examples = Examples({"text": ["one two", "one two"], "label": ["good", "good"]}, ["t"] * 2)
    counts = task.measure_texts(examples, [0, 1], ["a great", "some dull Camera work here, and more of it"])
    assert counts["label_obeyed"].tolist() == [1, 0] and counts["length_obeyed"].tolist() == [1, 0]
    assert counts["keyword_obeyed"].tolist() == [0, 1]
    empty = task.measure_texts(examples, [0], [" "])
    assert not any(empty[f"{name}_obeyed"][0] for name in ("label", "length", "keyword")), (
        "an empty text obeys no control"
    )


def test_some_training_texts_have_no_controls(tokenizer: Any) -> None:
    for share, expected in ((0.0, 0), (0.999, 20)):
        task, examples = fitted(left_out=share)
        encoded = task.encode(tokenizer, examples, 64, training=True)
        shortest = len(tokenizer("text:", add_special_tokens=False)["input_ids"]) + 1
        assert int((encoded.targets.more == shortest).sum()) == expected
        assert (task.encode(tokenizer, examples, 64).targets.more > shortest).all(), (
            "evaluated texts always have controls"
        )


def test_a_control_cannot_inject_another() -> None:
    task, _ = fitted()
    assert task._input_controls({"keyword": "camera\nlabel: bad"}, 1) == {"keyword": "camera label: bad"}


def test_wrong_options_and_data() -> None:
    for wrong in ({"label": False, "length": False, "keyword": False}, {"short": 9, "long": 3}, {"judge": "mine"}):
        with pytest.raises(ValidationError):
            make_task(NAME, **wrong)
    with pytest.raises(DataError, match="only one label"):
        make_task(NAME).fit(Examples({"text": ["a", "b"], "label": ["x", "x"]}, ["t:1", "t:2"], [1, 2]))
    task, _ = fitted(keyword=False)
    with pytest.raises(DataError, match="without that control"):
        task._input_controls({"keyword": "camera"}, 1)
