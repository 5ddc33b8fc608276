"""Sentence similarity: positives and negatives, the loss, retrieval metrics, and predictions."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional

from tests.tiny import BAD, GOOD, assert_gains_agree, make_model, reviews
from tests.unit.tasks.predicting import predict_json
from workbench.data.examples import Examples
from workbench.errors import DataError, SpecError
from workbench.models.loading import load_folder, load_tokenizer
from workbench.tasks.contexts import InferenceContext
from workbench.tasks.sentence_similarity import SentenceSimilarity
from workbench.tasks.shared.pair_search import search_by_vectors, search_by_words
from workbench.tasks.shared.ranking import tf_idf
from workbench.tasks.shared.text_pairs import contrastive_loss
from workbench.types import IGNORE_INDEX


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"), layers=1, dropout=0.0)


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return load_folder(folder, "AutoModel", {})[0].eval()


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return load_tokenizer(folder)


def examples(**columns: list[Any]) -> Examples:
    count = len(next(iter(columns.values())))
    return Examples(columns, [f"data.jsonl:{i}" for i in range(count)], list(range(1, count + 1)))


def make_task(**options: Any) -> SentenceSimilarity:
    return SentenceSimilarity(SentenceSimilarity.Config.model_validate(options))


def labelled(count: int = 40, seed: int = 0) -> Examples:
    rows = reviews(count, seed)
    return examples(text=[text for text, _ in rows], label=[label for _, label in rows])


# -- the loss ------------------------------------------------------------------------------------------------------


def loss_by_hand(first: torch.Tensor, second: torch.Tensor, labels: torch.Tensor, temperature: float) -> float:
    losses = []
    for i in range(len(first)):
        if labels[i, i] != 1:
            continue
        candidates = [j for j in range(len(first)) if j == i or labels[i, j] == 0]
        scores = torch.stack(
            [functional.cosine_similarity(first[i], second[j], dim=0) / temperature for j in candidates]
        )
        losses.append(float(scores.logsumexp(0) - scores[candidates.index(i)]))
    return sum(losses) / len(losses) if losses else 0.0


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_loss_equals_a_loop_over_pairs(symmetric: bool) -> None:
    torch.manual_seed(0)
    first, second = (functional.normalize(torch.randn(6, 8), dim=-1) for _ in range(2))
    labels = torch.zeros(6, 6, dtype=torch.long)
    labels[1, 4] = labels[4, 1] = IGNORE_INDEX
    labels.fill_diagonal_(1)
    labels[2, 2] = IGNORE_INDEX  # not a similar pair: no positive, but a negative of the others
    expected = loss_by_hand(first, second, labels, 0.1)
    if symmetric:
        expected = (expected + loss_by_hand(second, first, labels.T, 0.1)) / 2
    assert float(contrastive_loss(first, second, labels, 0.1, symmetric)) == pytest.approx(expected, rel=1e-5)


def test_without_negatives_or_positives_the_loss_is_zero() -> None:
    vectors = functional.normalize(torch.randn(3, 4), dim=-1).requires_grad_()
    labels = torch.full((3, 3), IGNORE_INDEX)
    for diagonal in (1, IGNORE_INDEX):
        loss = contrastive_loss(vectors, vectors.detach(), labels.fill_diagonal_(diagonal), 0.05)
        loss.backward()
        assert loss.item() == 0.0 and torch.isfinite(vectors.grad).all()


def test_padding_does_not_change_a_vector(model: Any, tokenizer: Any) -> None:
    texts = ["the film is great", "a story with a very dull ending and music", "lovely"]
    for pooling in ("mean", "cls"):
        task = make_task(pooling=pooling)
        together = task._vectors(InferenceContext(model, tokenizer, 32), texts)
        alone = np.concatenate([task._vectors(InferenceContext(model, tokenizer, 32), [text]) for text in texts])
        np.testing.assert_allclose(together, alone, atol=1e-6)
        np.testing.assert_allclose((together**2).sum(1), 1.0, atol=1e-6)
    ids = torch.tensor([tokenizer(texts[1])["input_ids"]])
    mean = functional.normalize(model(ids).last_hidden_state[0].mean(0), dim=0)
    np.testing.assert_allclose(
        make_task()._vectors(InferenceContext(model, tokenizer, 32), [texts[1]])[0], mean.detach(), atol=1e-6
    )


def test_virtual_tokens_before_a_text_are_ignored() -> None:
    hidden = torch.randn(2, 7, 4)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
    vectors = make_task().embed(SimpleNamespace(last_hidden_state=hidden), mask)
    assert torch.allclose(vectors[1], functional.normalize(hidden[1, 2:4].mean(0), dim=0))
    assert torch.allclose(
        make_task(pooling="cls").embed(SimpleNamespace(last_hidden_state=hidden), mask)[0],
        functional.normalize(hidden[0, 2], dim=0),
    )


def test_a_model_without_trainable_weights_is_refused(model: Any, tokenizer: Any) -> None:
    task = make_task(pairs_from_labels=True)
    encoded = task.encode(tokenizer, labelled(), 32)
    model.requires_grad_(False).train()
    try:
        with pytest.raises(SpecError, match="None of the trainable weights"):
            task.forward(model, task.collate(encoded, np.arange(4), 0))
    finally:
        model.requires_grad_(True).eval()


# -- batches -------------------------------------------------------------------------------------------------------


def test_positives_have_the_same_label_and_are_sampled_each_time(tokenizer: Any) -> None:
    task, data = make_task(pairs_from_labels=True), labelled(12)
    data.columns["label"][7] = "alone"
    encoded = task.encode(tokenizer, data, 32)
    indices = np.array([3, 7, 0, 10])
    positives: dict[int, set[bytes]] = {int(i): set() for i in indices}
    texts = {encoded.tokens.pad([i], 0)["input_ids"].tobytes(): i for i in range(12)}
    torch.manual_seed(0)
    for _ in range(60):
        batch = task.collate(encoded, indices, 0)
        for row, i in enumerate(indices):
            ids = batch["input_ids"][4 + row][batch["attention_mask"][4 + row].bool()].numpy()
            positives[int(i)].add(ids.tobytes())
    for i, sampled in positives.items():
        same = {j for j in range(12) if data.columns["label"][j] == data.columns["label"][i]} - {i}
        assert {texts[each] for each in sampled} == (same or {i}), "every other text with the label, and none without"
    torch.manual_seed(5)
    first = task.collate(encoded, indices, 0)["input_ids"]
    torch.manual_seed(5)
    assert torch.equal(first, task.collate(encoded, indices, 0)["input_ids"])


def test_texts_of_one_label_are_no_negatives(tokenizer: Any) -> None:
    task, data = make_task(pairs_from_labels=True), labelled(8)
    labels = task.collate(task.encode(tokenizer, data, 32), np.arange(8), 0)["labels"]
    classes = data.columns["label"]
    for i in range(8):
        for j in range(8):
            assert labels[i, j] == (1 if i == j else IGNORE_INDEX if classes[i] == classes[j] else 0)


def test_pairs_that_share_a_text_are_no_negatives(tokenizer: Any) -> None:
    task = make_task()
    data = examples(text_a=["great", "dull", "great", "awful"], text_b=["film", "plot", "music", "plot"])
    encoded = task.encode(tokenizer, data, 32)
    batch = task.collate(encoded, np.array([3, 2, 1, 0]), 0)
    expected = torch.tensor([[1, 0, -100, 0], [0, 1, 0, -100], [-100, 0, 1, 0], [0, -100, 0, 1]])
    assert torch.equal(batch["labels"], expected)
    decoded = [tokenizer.decode(row, skip_special_tokens=True) for row in batch["input_ids"]]
    assert decoded == ["awful", "great", "dull", "great", "plot", "music", "plot", "film"]
    assert encoded.tokens.lengths.tolist() == [6, 6, 6, 6] and encoded.tokens.full_lengths.tolist() == [3] * 4


def test_dissimilar_pairs_are_no_positives(tokenizer: Any) -> None:
    data = examples(text_a=["great", "dull"], text_b=["lovely", "film"], score=[0.9, 0.1])
    task = make_task()
    training = task.encode(tokenizer, data, 32, training=True)
    assert len(training) == 1 and "1 pairs with a score below 0.5" in training.note
    test = task.encode(tokenizer, data, 32)
    assert len(test) == 2 and task.loss_weight(test, np.array([0, 1])) == 1
    assert task.collate(test, np.array([0, 1]), 0)["labels"].tolist() == [[1, 0], [0, IGNORE_INDEX]]
    with pytest.raises(DataError, match="No training pair"):
        make_task(positive_from=0.95).encode(tokenizer, data, 32, training=True)
    data.columns["score"][1] = 4.0
    with pytest.raises(DataError, match=r"data.jsonl, line 2: the score is 4"):
        task.encode(tokenizer, data, 32)


def test_labels_that_make_no_pairs_are_refused() -> None:
    task = make_task(pairs_from_labels=True)
    for labels in (["a", "a", "a"], ["a", "b", "c"]):
        with pytest.raises(DataError, match="no similar pairs or no dissimilar ones"):
            task.fit(examples(text=["x", "y", "z"], label=labels))


# -- retrieval ------------------------------------------------------------------------------------------------------


def test_an_answer_counts_whichever_row_it_comes_from(tokenizer: Any) -> None:
    """Compare with a plain loop: texts that occur several times, and pairs that are not similar."""
    generator = np.random.default_rng(1)
    a = [GOOD[i] for i in generator.integers(0, 5, 30)]
    b = [BAD[i] for i in generator.integers(0, 5, 30)]
    score = np.where([x == GOOD[0] for x in a], 0.1, generator.random(30))  # one query has no relevant answer
    task = make_task()
    data = examples(text_a=a, text_b=b, score=score.tolist())
    encoded = task.encode(tokenizer, data, 32)
    vector = {word: generator.normal(size=6).astype(np.float32) for word in [*GOOD, *BAD]}
    outputs = np.stack([np.stack([vector[x] for x in a]), np.stack([vector[x] for x in b])], axis=1)
    result = search_by_vectors(outputs, encoded.targets)
    similar = {(x, y) for x, y, s in zip(a, b, score, strict=True) if s >= 0.5}
    for row, question in enumerate(a):
        order = sorted(set(b), key=lambda answer: -float(vector[question] @ vector[answer]))
        ranks = [i for i, answer in enumerate(order, start=1) if (question, answer) in similar]
        assert result.retrieved.rank[row] == (ranks[0] if ranks else 0)
        assert b[result.candidate_row[result.retrieved.best[row]]] == order[0]
    rows = task.prediction_rows(data, result, encoded.targets)
    assert len({len(column) for column in rows.values()}) == 1 and None in rows["correct"]
    report = task.report(result, encoded.targets, encoded.targets)
    assert report["metrics"].keys() == report["baseline"].keys() == {"recall@1", "recall@5", "mrr", "spearman"}
    assert report["metrics"]["recall@1"]["value"] == pytest.approx(
        np.mean([hit for hit in rows["correct"] if hit is not None])
    )
    assert report["baseline_name"] == "words in common (TF-IDF)" and report["candidates"] == len(set(b))


def test_the_base_model_is_the_baseline(tokenizer: Any) -> None:
    task = make_task(pairs_from_labels=True)
    encoded = task.encode(tokenizer, labelled(30), 32)
    # The base model separates the labels perfectly, the trained one not at all: its vectors are one-hot by row.
    classes = np.array(encoded.targets.second)
    perfect = np.eye(2, dtype=np.float32)[classes]
    task.on_untrained_outputs(perfect, 0.1, from_scratch=True)
    useless = np.eye(30, dtype=np.float32)
    report = task.report(search_by_vectors(useless, encoded.targets), encoded.targets, encoded.targets)
    assert_gains_agree(report)
    assert "recall@1" in report["gain"]
    assert report["baseline"]["recall@1"] == 1.0 and report["metrics"]["recall@1"]["value"] == 0.0
    assert "random" in report["baseline_name"] and len(report["baselines"]) == 2
    assert report["baseline"]["spearman"] == pytest.approx(1.0) and report["metrics"]["spearman"]["value"] == 0.0
    assert report["gain"]["spearman"]["value"] == pytest.approx(-1.0)


def test_pairs_for_spearman_are_sampled_once(tokenizer: Any) -> None:
    """Pair each text with one of its label and one of another; a text without a partner has no pair."""
    task = make_task(pairs_from_labels=True)
    data = labelled(31)
    data.columns["label"][:] = ["a", "b"] * 15 + ["alone"]
    pairs = task.encode(tokenizer, data, 32).targets
    own, same, other = pairs.sampled.T
    assert own.tolist() == list(range(30)) and not (own == same).any()
    assert (pairs.second[own] == pairs.second[same]).all() and (pairs.second[own] != pairs.second[other]).all()
    assert len(set(other.tolist())) > 5, "the other texts are sampled, not all the same"
    assert (task.encode(tokenizer, data, 32).targets.sampled == pairs.sampled).all()
    vectors = np.random.default_rng(0).normal(size=(31, 4)).astype(np.float32)
    result = search_by_vectors(vectors, pairs)
    cosines = [[vectors[a] @ vectors[b], vectors[a] @ vectors[c]] for a, b, c in pairs.sampled]
    np.testing.assert_allclose(result.similarity, cosines, rtol=1e-5)
    expected = stats.spearmanr([1, 0] * 30, np.ravel(cosines)).statistic
    assert task.metrics(vectors, pairs)["spearman"] == pytest.approx(expected)
    lexical, similarity = search_by_words(pairs, pairs), tf_idf(pairs.texts, pairs.texts, pairs.texts)(slice(0, 31))
    np.testing.assert_allclose(lexical.similarity[:, 0], similarity[own, same])
    np.testing.assert_allclose(lexical.similarity[:, 1], similarity[own, other])
    data.columns["label"][:] = ["a"] * 31
    assert "spearman" not in task.metrics(vectors, task.encode(tokenizer, data, 32).targets)


# -- predictions -----------------------------------------------------------------------------------------------------


def test_answers(model: Any, tokenizer: Any) -> None:
    task = make_task()
    candidates = ["the plot is dull", "the film is great", "great film"]
    pair, ranking, embedding = predict_json(
        task,
        model,
        tokenizer,
        [
            {"text_a": "great film", "text_b": "great film"},
            {"text": "great film", "candidates": candidates},
            {"text": "great film"},
        ],
        32,
        {},
    )
    assert pair["similarity"] == pytest.approx(1.0, abs=1e-6)
    assert ranking["text"] == ranking["ranked"][0]["text"] == "great film"
    assert sorted(each["text"] for each in ranking["ranked"]) == sorted(candidates)
    scores = [each["score"] for each in ranking["ranked"]]
    assert scores == sorted(scores, reverse=True)
    assert len(embedding["embedding"]) == model.config.hidden_size


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"text": " "}, "Input 2: the text is empty"),
        ({"text": "great", "candidates": []}, "Input 2: candidates is not a list"),
        ({"text": "great", "candidates": ["film", ""]}, "Input 2: the text to compare with is empty"),
        ({"text": "great", "candidates": 7}, "is not a list of texts"),
    ],
)
def test_unusable_inputs_are_refused(model: Any, tokenizer: Any, inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        predict_json(make_task(), model, tokenizer, [{"text": "great"}, inputs], 32, {})


def test_an_encoder_decoder_model_is_refused() -> None:
    with pytest.raises(SpecError, match="a single vector for each text"):
        make_task().configure(SimpleNamespace(config=SimpleNamespace(is_encoder_decoder=True)))
