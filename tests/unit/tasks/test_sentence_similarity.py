"""Sentence similarity: who is whose partner, the loss, what counts as found, and what a user is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional

from tests.tiny import BAD, GOOD, gains_agree, make_model, reviews
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


def task(**options: Any) -> SentenceSimilarity:
    return SentenceSimilarity(SentenceSimilarity.Config.model_validate(options))


def labelled(count: int = 40, seed: int = 0) -> Examples:
    rows = reviews(count, seed)
    return examples(text=[text for text, _ in rows], label=[label for _, label in rows])


# -- the loss ------------------------------------------------------------------------------------------------------


def by_hand(first: torch.Tensor, second: torch.Tensor, labels: torch.Tensor, temperature: float) -> float:
    losses = []
    for i in range(len(first)):
        if labels[i, i] != 1:
            continue
        seen = [j for j in range(len(first)) if j == i or labels[i, j] == 0]
        scores = torch.stack([functional.cosine_similarity(first[i], second[j], dim=0) / temperature for j in seen])
        losses.append(float(scores.logsumexp(0) - scores[seen.index(i)]))
    return sum(losses) / len(losses) if losses else 0.0


@pytest.mark.parametrize("both", [False, True])
def test_the_loss_is_the_one_worked_out_pair_by_pair(both: bool) -> None:
    torch.manual_seed(0)
    first, second = (functional.normalize(torch.randn(6, 8), dim=-1) for _ in range(2))
    labels = torch.zeros(6, 6, dtype=torch.long)
    labels[1, 4] = labels[4, 1] = IGNORE_INDEX
    labels.fill_diagonal_(1)
    labels[2, 2] = IGNORE_INDEX  # not alike: nobody's partner, but a negative of the others
    wanted = by_hand(first, second, labels, 0.1)
    if both:
        wanted = (wanted + by_hand(second, first, labels.T, 0.1)) / 2
    assert float(contrastive_loss(first, second, labels, 0.1, both)) == pytest.approx(wanted, rel=1e-5)


def test_without_negatives_or_partners_the_loss_is_nothing() -> None:
    one = functional.normalize(torch.randn(3, 4), dim=-1).requires_grad_()
    alone = torch.full((3, 3), IGNORE_INDEX)
    for diagonal in (1, IGNORE_INDEX):
        loss = contrastive_loss(one, one.detach(), alone.fill_diagonal_(diagonal), 0.05)
        loss.backward()
        assert loss.item() == 0.0 and torch.isfinite(one.grad).all()


def test_padding_has_no_part_in_a_vector(model: Any, tokenizer: Any) -> None:
    texts = ["the film is great", "a story with a very dull ending and music", "lovely"]
    for pooling in ("mean", "cls"):
        it = task(pooling=pooling)
        together = it._vectors(InferenceContext(model, tokenizer, 32), texts)
        alone = np.concatenate([it._vectors(InferenceContext(model, tokenizer, 32), [text]) for text in texts])
        np.testing.assert_allclose(together, alone, atol=1e-6)
        np.testing.assert_allclose((together**2).sum(1), 1.0, atol=1e-6)
    ids = torch.tensor([tokenizer(texts[1])["input_ids"]])
    mean = functional.normalize(model(ids).last_hidden_state[0].mean(0), dim=0)
    np.testing.assert_allclose(
        task()._vectors(InferenceContext(model, tokenizer, 32), [texts[1]])[0], mean.detach(), atol=1e-6
    )


def test_virtual_tokens_before_a_text_are_ignored() -> None:
    hidden = torch.randn(2, 7, 4)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
    result = task().embed(SimpleNamespace(last_hidden_state=hidden), mask)
    assert torch.allclose(result[1], functional.normalize(hidden[1, 2:4].mean(0), dim=0))
    assert torch.allclose(
        task(pooling="cls").embed(SimpleNamespace(last_hidden_state=hidden), mask)[0],
        functional.normalize(hidden[0, 2], dim=0),
    )


def test_nothing_to_train_is_refused(model: Any, tokenizer: Any) -> None:
    it = task(pairs_from_labels=True)
    encoded = it.encode(tokenizer, labelled(), 32)
    model.requires_grad_(False).train()
    try:
        with pytest.raises(SpecError, match="None of the trainable weights"):
            it.forward(model, it.collate(encoded, np.arange(4), 0))
    finally:
        model.requires_grad_(True).eval()


# -- batches -------------------------------------------------------------------------------------------------------


def test_positives_have_the_same_label_and_are_sampled_each_time(tokenizer: Any) -> None:
    it, data = task(pairs_from_labels=True), labelled(12)
    data.columns["label"][7] = "alone"
    encoded = it.encode(tokenizer, data, 32)
    indices = np.array([3, 7, 0, 10])
    met: dict[int, set[bytes]] = {int(i): set() for i in indices}
    texts = {encoded.tokens.pad([i], 0)["input_ids"].tobytes(): i for i in range(12)}
    torch.manual_seed(0)
    for _ in range(60):
        batch = it.collate(encoded, indices, 0)
        for row, i in enumerate(indices):
            ids = batch["input_ids"][4 + row][batch["attention_mask"][4 + row].bool()].numpy()
            met[int(i)].add(ids.tobytes())
    for i, result in met.items():
        same = {j for j in range(12) if data.columns["label"][j] == data.columns["label"][i]} - {i}
        assert {texts[each] for each in result} == (same or {i}), "every other text of the label, and no other"
    torch.manual_seed(5)
    one = it.collate(encoded, indices, 0)["input_ids"]
    torch.manual_seed(5)
    assert torch.equal(one, it.collate(encoded, indices, 0)["input_ids"])


def test_texts_of_one_label_are_no_negatives(tokenizer: Any) -> None:
    it, data = task(pairs_from_labels=True), labelled(8)
    labels = it.collate(it.encode(tokenizer, data, 32), np.arange(8), 0)["labels"]
    kinds = data.columns["label"]
    for i in range(8):
        for j in range(8):
            assert labels[i, j] == (1 if i == j else IGNORE_INDEX if kinds[i] == kinds[j] else 0)


def test_pairs_that_share_a_text_are_no_negatives(tokenizer: Any) -> None:
    it = task()
    data = examples(text_a=["great", "dull", "great", "awful"], text_b=["film", "plot", "music", "plot"])
    encoded = it.encode(tokenizer, data, 32)
    batch = it.collate(encoded, np.array([3, 2, 1, 0]), 0)
    wanted = torch.tensor([[1, 0, -100, 0], [0, 1, 0, -100], [-100, 0, 1, 0], [0, -100, 0, 1]])
    assert torch.equal(batch["labels"], wanted)
    words = [tokenizer.decode(row, skip_special_tokens=True) for row in batch["input_ids"]]
    assert words == ["awful", "great", "dull", "great", "plot", "music", "plot", "film"]
    assert encoded.tokens.lengths.tolist() == [6, 6, 6, 6] and encoded.tokens.full_lengths.tolist() == [3] * 4


def test_dissimilar_pairs_are_not_learned_from(tokenizer: Any) -> None:
    data = examples(text_a=["great", "dull"], text_b=["lovely", "film"], score=[0.9, 0.1])
    it = task()
    training = it.encode(tokenizer, data, 32, training=True)
    assert len(training) == 1 and "1 pairs with a score below 0.5" in training.note
    measured = it.encode(tokenizer, data, 32)
    assert len(measured) == 2 and it.loss_weight(measured, np.array([0, 1])) == 1
    assert it.collate(measured, np.array([0, 1]), 0)["labels"].tolist() == [[1, 0], [0, IGNORE_INDEX]]
    with pytest.raises(DataError, match="No training pair"):
        task(positive_from=0.95).encode(tokenizer, data, 32, training=True)
    data.columns["score"][1] = 4.0
    with pytest.raises(DataError, match=r"data.jsonl, line 2: the score is 4"):
        it.encode(tokenizer, data, 32)


def test_labels_that_make_no_pairs_are_refused() -> None:
    it = task(pairs_from_labels=True)
    for labels in (["a", "a", "a"], ["a", "b", "c"]):
        with pytest.raises(DataError, match="nothing to tell apart, or nothing that belongs"):
            it.fit(examples(text=["x", "y", "z"], label=labels))


# -- what counts as found --------------------------------------------------------------------------------------------


def test_an_answer_counts_whichever_row_it_comes_from(tokenizer: Any) -> None:
    """Questions and answers that stand there several times, and pairs that are not alike: against a plain loop."""
    generator = np.random.default_rng(1)
    a = [GOOD[i] for i in generator.integers(0, 5, 30)]
    b = [BAD[i] for i in generator.integers(0, 5, 30)]
    score = np.where([x == GOOD[0] for x in a], 0.1, generator.random(30))  # to one question nothing belongs
    it = task()
    data = examples(text_a=a, text_b=b, score=score.tolist())
    encoded = it.encode(tokenizer, data, 32)
    vector = {word: generator.normal(size=6).astype(np.float32) for word in [*GOOD, *BAD]}
    outputs = np.stack([np.stack([vector[x] for x in a]), np.stack([vector[x] for x in b])], axis=1)
    result = search_by_vectors(outputs, encoded.targets)
    alike = {(x, y) for x, y, s in zip(a, b, score, strict=True) if s >= 0.5}
    for row, query in enumerate(a):
        order = sorted(set(b), key=lambda answer: -float(vector[query] @ vector[answer]))
        positions = [i for i, answer in enumerate(order, start=1) if (query, answer) in alike]
        assert result.retrieved.rank[row] == (positions[0] if positions else 0)
        assert b[result.candidate_row[result.retrieved.best[row]]] == order[0]
    rows = it.prediction_rows(data, result, encoded.targets)
    assert len({len(column) for column in rows.values()}) == 1 and None in rows["correct"]
    report = it.report(result, encoded.targets, encoded.targets)
    assert report["metrics"].keys() == report["baseline"].keys() == {"recall@1", "recall@5", "mrr", "spearman"}
    assert report["metrics"]["recall@1"]["value"] == pytest.approx(
        np.mean([hit for hit in rows["correct"] if hit is not None])
    )
    assert report["baseline_name"] == "words in common (TF-IDF)" and report["candidates"] == len(set(b))


def test_the_unchanged_model_is_the_baseline(tokenizer: Any) -> None:
    it = task(pairs_from_labels=True)
    encoded = it.encode(tokenizer, labelled(30), 32)
    # The untouched model knows the labels, the finished one the opposite of nothing: vectors by row number.
    kinds = np.array(encoded.targets.second)
    knowing = np.eye(2, dtype=np.float32)[kinds]
    it.on_untrained_outputs(knowing, 0.1, from_scratch=True)
    blind = np.eye(30, dtype=np.float32)
    report = it.report(search_by_vectors(blind, encoded.targets), encoded.targets, encoded.targets)
    gains_agree(report)
    assert "recall@1" in report["gain"]
    assert report["baseline"]["recall@1"] == 1.0 and report["metrics"]["recall@1"]["value"] == 0.0
    assert "random" in report["baseline_name"] and len(report["baselines"]) == 2
    assert report["baseline"]["spearman"] == pytest.approx(1.0) and report["metrics"]["spearman"]["value"] == 0.0
    assert report["gain"]["spearman"]["value"] == pytest.approx(-1.0)


def test_pairs_are_drawn_once_for_spearman(tokenizer: Any) -> None:
    """Each text with one of its label and with one of another; a text that is alone has none."""
    it = task(pairs_from_labels=True)
    arguments = labelled(31)
    arguments.columns["label"][:] = ["a", "b"] * 15 + ["alone"]
    pairs = it.encode(tokenizer, arguments, 32).targets
    own, same, other = pairs.sampled.T
    assert own.tolist() == list(range(30)) and not (own == same).any()
    assert (pairs.second[own] == pairs.second[same]).all() and (pairs.second[own] != pairs.second[other]).all()
    assert len(set(other.tolist())) > 5, "others are drawn, not all the same"
    assert (it.encode(tokenizer, arguments, 32).targets.sampled == pairs.sampled).all()
    vectors = np.random.default_rng(0).normal(size=(31, 4)).astype(np.float32)
    result = search_by_vectors(vectors, pairs)
    cosines = [[vectors[a] @ vectors[b], vectors[a] @ vectors[c]] for a, b, c in pairs.sampled]
    np.testing.assert_allclose(result.similarity, cosines, rtol=1e-5)
    expected = stats.spearmanr([1, 0] * 30, np.ravel(cosines)).statistic
    assert it.metrics(vectors, pairs)["spearman"] == pytest.approx(expected)
    lexical, near = search_by_words(pairs, pairs), tf_idf(pairs.texts, pairs.texts, pairs.texts)(slice(0, 31))
    np.testing.assert_allclose(lexical.similarity[:, 0], near[own, same])
    np.testing.assert_allclose(lexical.similarity[:, 1], near[own, other])
    arguments.columns["label"][:] = ["a"] * 31
    assert "spearman" not in it.metrics(vectors, it.encode(tokenizer, arguments, 32).targets)


# -- asked -----------------------------------------------------------------------------------------------------------


def test_answers(model: Any, tokenizer: Any) -> None:
    it = task()
    candidates = ["the plot is dull", "the film is great", "great film"]
    one, two, three = predict_json(
        it,
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
    assert one["similarity"] == pytest.approx(1.0, abs=1e-6)
    assert two["text"] == two["ranked"][0]["text"] == "great film"
    assert sorted(each["text"] for each in two["ranked"]) == sorted(candidates)
    scores = [each["score"] for each in two["ranked"]]
    assert scores == sorted(scores, reverse=True)
    assert len(three["embedding"]) == model.config.hidden_size


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ({"text": " "}, "Input 2: the text is empty"),
        ({"text": "great", "candidates": []}, "Input 2: the candidates are no list"),
        ({"text": "great", "candidates": ["film", ""]}, "Input 2: the text to compare with is empty"),
        ({"text": "great", "candidates": 7}, "no list of texts"),
    ],
)
def test_inputs_that_cannot_be_used(model: Any, tokenizer: Any, arguments: dict[str, Any], messages: str) -> None:
    with pytest.raises(DataError, match=messages):
        predict_json(task(), model, tokenizer, [{"text": "great"}, arguments], 32, {})


def test_an_encoder_with_a_decoder_is_refused() -> None:
    with pytest.raises(SpecError, match="one vector for each text"):
        task().configure(SimpleNamespace(config=SimpleNamespace(is_encoder_decoder=True)))
