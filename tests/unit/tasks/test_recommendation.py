"""Recommendation: the positive label, the encoded history, popularity, metrics, and predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny import assert_gains_agree, make_model
from tests.unit.tasks.predicting import predict_json
from workbench.data.examples import Examples
from workbench.errors import DataError, SpecError
from workbench.models.loading import load_folder, load_tokenizer
from workbench.tasks.base import Target
from workbench.tasks.recommendation import Recommendation

ROWS = [
    # user, time, history, candidate, liked
    ("ann", 1, "", "great film", True),
    ("ann", 2, "great film", "dull film", False),
    ("bob", 3, "", "great film", True),
    ("bob", 4, "great film", "lovely story", True),
    ("bob", 5, "lovely story; great film", "dull film", False),
    ("cat", 6, "", "awful plot", False),
]


def examples(rows: list[tuple[Any, ...]] = ROWS, good: str = "liked", bad: str = "not liked") -> Examples:
    user, time, history, candidate, liked = (list(column) for column in zip(*rows, strict=True))
    label = [good if each else bad for each in liked]
    columns = {"user": user, "time": time, "history": history, "candidate": candidate, "label": label}
    return Examples(columns, [f"r.jsonl:{i}" for i in range(len(rows))], list(range(1, len(rows) + 1)))


def make_task(**options: Any) -> Recommendation:
    return Recommendation(Recommendation.Config.model_validate(options))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"), layers=1, dropout=0.0)


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    task = make_task()
    task.fit(examples())
    return load_folder(folder, task.head, task.model_options())[0].eval()


# -- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("good", "bad"), [("liked", "disliked"), ("1", "0"), ("Yes", "no")])
def test_the_good_label_comes_second(good: str, bad: str) -> None:
    task = make_task()
    task.fit(examples(good=good, bad=bad))
    assert task.labels == [bad, good]


def test_ambiguous_labels_need_the_option_liked() -> None:
    with pytest.raises(SpecError, match=r"Neither of the labels 'bought' and 'sent back'"):
        make_task().fit(examples(good="bought", bad="sent back"))
    task = make_task(liked="bought")
    task.fit(examples(good="bought", bad="sent back"))
    assert task.labels == ["sent back", "bought"]
    with pytest.raises(SpecError, match=r"task.liked is 'wanted'"):
        make_task(liked="wanted").fit(examples())
    with pytest.raises(DataError, match="has 1 different labels"):
        make_task().fit(examples(good="liked", bad="liked"))


# -- examples --------------------------------------------------------------------------------------------------------


def test_popularity_counts_likes_of_the_training_split(tokenizer: Any) -> None:
    task = make_task()
    task.fit(examples(ROWS[:4]))
    encoded = task.encode(tokenizer, examples(ROWS[4:] + ROWS[:1]), 32)
    assert encoded.targets.popularity.tolist() == [0, 0, 2], "counted in the training split only"
    assert encoded.targets.user.tolist() == [0, 1, 2] and encoded.targets.liked.tolist() == [False, False, True]
    assert encoded.note.startswith("1 of 3 examples are earlier than the last training example")
    assert task.encode(tokenizer, examples(ROWS[:4]), 32, training=True).note == ""


def test_only_the_newest_items_of_a_history_are_encoded(tokenizer: Any) -> None:
    task = make_task(history_length=1)
    task.fit(examples())
    inputs = {"history": ["lovely story", "great film"], "candidate": "dull film"}
    for tokens in (
        task.encode(tokenizer, examples(), 32).tokens.pad([4], 0),
        task.encode_inputs(tokenizer, [inputs], 32).pad([0], 0),
    ):
        text = tokenizer.decode(tokens["input_ids"][0])
        assert text == "[CLS] lovely story [SEP] dull film [SEP]"
        assert tokens["token_type_ids"][0].tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_padding_does_not_change_the_loss(model: Any, tokenizer: Any) -> None:
    task = make_task()
    task.fit(examples())
    encoded = task.encode(tokenizer, examples(), 32)
    with torch.no_grad():
        together = task.forward(model, task.collate(encoded, np.arange(6), 0)).loss
        alone = [task.forward(model, task.collate(encoded, np.array([i]), 0)).loss for i in range(6)]
    assert float(together) == pytest.approx(float(sum(alone)) / 6, abs=1e-6)


# -- results ---------------------------------------------------------------------------------------------------------


def test_report_and_rows(tokenizer: Any) -> None:
    task = make_task()
    task.fit(examples())
    encoded = task.encode(tokenizer, examples(), 32)
    liked = np.array(
        [0.9, 0.8, 0.1, 0.3, 0.2, 0.6]
    )  # ann's pair is ordered correctly, one of bob's two is; cat has no pair
    outputs = np.stack([1 - liked, liked], axis=1)
    report = task.report(outputs, encoded.targets, encoded.targets)
    assert_gains_agree(report)
    assert "auc" in report["gain"]
    assert report["metrics"]["auc"]["value"] == pytest.approx((1.0 + 0.5) / 2)
    assert report["metrics"]["recall@10"]["value"] == 1.0
    assert report["baseline"]["auc"] == 1.0 and "popularity" in report["baseline_name"]
    assert (report["users"], report["users_left_out"]) == (2, 1)
    assert task.metrics(outputs, encoded.targets) == pytest.approx(
        {k: v["value"] for k, v in report["metrics"].items()}
    )
    rows = task.prediction_rows(examples(), outputs, encoded.targets)
    assert {len(column) for column in rows.values()} == {6}
    assert rows["correct"] == [True, False, False, False, True, False]
    assert {column for _, *needed in report["measures"].values() for column in needed} <= rows.keys()


# -- predictions -----------------------------------------------------------------------------------------------------


def test_candidates_are_ranked(model: Any, tokenizer: Any) -> None:
    task = make_task()
    task.fit(examples())
    films = ["dull film", "great story", "lovely music"]
    several, single = predict_json(
        task,
        model,
        tokenizer,
        [{"history": ["great film", "lovely plot"], "candidates": films}, {"history": "", "candidate": "dull film"}],
        32,
        {},
    )
    assert sorted(each["text"] for each in several["ranked"]) == sorted(films)
    scores = [each["score"] for each in several["ranked"]]
    assert scores == sorted(scores, reverse=True) and several["text"] == several["ranked"][0]["text"]
    for each in several["ranked"]:
        tokens = tokenizer("great film; lovely plot", each["text"], return_tensors="pt")
        logits = model(**tokens).logits
        assert each["score"] == pytest.approx(float(logits.softmax(-1)[0, 1]), abs=1e-5)
        explained = task.target_score(model(**tokens), tokens, Target(index=1))
        assert float(explained.probability) == pytest.approx(each["score"], abs=1e-5)
        assert float(explained.logit) == pytest.approx(float(logits[0, 1]), abs=1e-5)
    assert len(single["ranked"]) == 1


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"history": ["great film"]}, "Input 2 has no candidates"),
        ({"history": "", "candidates": ["film", " "]}, "Input 2 has no candidates, or an empty one"),
        ({"history": 7, "candidates": ["film"]}, "Input 2: the history is neither a text nor a list"),
    ],
)
def test_unusable_inputs_are_refused(model: Any, tokenizer: Any, inputs: dict[str, Any], message: str) -> None:
    task = make_task()
    task.fit(examples())
    with pytest.raises(DataError, match=message):
        predict_json(task, model, tokenizer, [{"history": "", "candidates": ["film"]}, inputs], 32, {})
