"""Relation extraction: the official score by hand, the positions of marks, one linear map over both marks."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny import GOOD, OTHER, make_model
from tests.unit.tasks.predicting import predict_json
from workbench.data.examples import Examples
from workbench.errors import DataError, SpecError
from workbench.metrics import measures
from workbench.models.loading import load_tokenizer
from workbench.tasks.relation_extraction import (
    RelationExtraction,
    RelationTargets,
    relation,
)
from workbench.tasks.shared.spans.marked_pairs import SIGNS, MarkedSentence, choose_signs, marked_text
from workbench.types import IGNORE_INDEX

# The nine relations of SemEval-2010 task 8.
NINE = [
    *("Cause-Effect", "Component-Whole", "Content-Container", "Entity-Destination", "Entity-Origin"),
    *("Instrument-Agency", "Member-Collection", "Message-Topic", "Product-Producer"),
]
LABELS = sorted(["Other", *(f"{name}({a},{b})" for name in NINE for a, b in (("e1", "e2"), ("e2", "e1")))])


def examples(texts: list[str], labels: list[str]) -> Examples:
    rows = [4 * i + 1 for i in range(len(texts))]
    return Examples({"text": texts, "label": labels}, [f"TRAIN.TXT:{row}" for row in rows], rows)


def fitted(labels: list[str] = LABELS, **options: Any) -> RelationExtraction:
    task = RelationExtraction(RelationExtraction.Config(**options))
    task.fit(examples(["<e1>a</e1> <e2>b</e2>"] * len(labels), labels))
    return task


def one_hot(labels: list[str]) -> Any:
    """Return outputs that predict these labels."""
    return np.eye(len(LABELS), dtype=np.float32)[[LABELS.index(label) for label in labels]]


def make_targets(labels: list[str]) -> RelationTargets:
    classes = np.array([LABELS.index(label) for label in labels])
    return RelationTargets(classes, np.zeros(0, dtype=np.int32))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tokenizer with one token for each word, @ and #."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "@", "#", *"abcdefghij"]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


# -- the official score ---------------------------------------------------------------------------------------------

CE, EC, PP = "Cause-Effect(e1,e2)", "Cause-Effect(e2,e1)", "Product-Producer(e1,e2)"


def test_the_official_score_by_hand() -> None:
    """Nine relations without Other, with direction: a wrong direction counts as predicted and as gold, not as a hit."""
    gold = [CE, CE, CE, EC, PP, PP, "Other", "Other"]
    predicted = [CE, EC, "Other", EC, PP, CE, "Other", PP]
    # Cause-Effect: 2 hits (CE, EC); 4 predicted (CE, EC, EC, CE); 4 gold: P 1/2, R 1/2, F 1/2
    # Product-Producer: 1 hit; 2 predicted; 2 gold: F 1/2. The other seven: 0.
    metrics = fitted().metrics(one_hot(predicted), make_targets(gold))
    assert metrics["macro_f1"] == pytest.approx((1 / 2 + 1 / 2) / 9)
    assert metrics["micro_f1"] == pytest.approx(2 * 3 / (6 + 6))
    assert metrics["accuracy"] == 4 / 8


def test_a_wrong_direction_alone_scores_nothing() -> None:
    assert fitted().metrics(one_hot([EC]), make_targets([CE])) == {"macro_f1": 0, "micro_f1": 0, "accuracy": 0}
    only_other = fitted().metrics(one_hot(["Other"] * 3), make_targets(["Other"] * 3))
    assert only_other == {"macro_f1": 0, "micro_f1": 0, "accuracy": 1}


def official(gold: list[str], predicted: list[str]) -> float:
    """Compute the official scorer's macro F1 from its confusion matrix of ten rows and a column xDIRx."""
    total = 0.0
    for name in NINE:
        hits = sum(g == p and relation(g) == name for g, p in zip(gold, predicted, strict=True))
        wrong_direction = sum(
            g != p and relation(g) == name == relation(p) for g, p in zip(gold, predicted, strict=True)
        )
        column = hits + sum(relation(p) == name != relation(g) for g, p in zip(gold, predicted, strict=True))
        row = hits + sum(relation(g) == name != relation(p) for g, p in zip(gold, predicted, strict=True))
        precision = hits / (column + wrong_direction) if column + wrong_direction else 0.0
        recall = hits / (row + wrong_direction) if row + wrong_direction else 0.0
        total += 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return total / len(NINE)


@given(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS), st.booleans()), min_size=1, max_size=60))
def test_the_official_score_against_the_scorers_matrix(triples: list[tuple[str, str, bool]]) -> None:
    gold = [each[0] for each in triples]
    predicted = [g if correct else p for g, p, correct in triples]
    assert fitted().metrics(one_hot(predicted), make_targets(gold))["macro_f1"] == pytest.approx(
        official(gold, predicted)
    )


def test_report_and_prediction_rows_agree() -> None:
    gold, predicted = [CE, EC, PP, "Other", CE], [CE, CE, PP, "Other", "Other"]
    task = fitted()
    report = task.report(one_hot(predicted), make_targets(gold), make_targets([EC, EC, "Other", CE]))
    assert report["baseline_name"] == f"always {EC!r} (most frequent in training)"
    assert report["baseline"] == task.metrics(one_hot([EC] * 5), make_targets(gold))
    assert report["per_class"]["Cause-Effect"] == {"precision": 0.5, "recall": 1 / 3, "f1": 0.4, "support": 3}
    assert "Other" not in report["per_class"]
    test_examples = examples([f"<e1>{i}</e1> <e2>b</e2>" for i in range(5)], gold)
    rows = task.prediction_rows(test_examples, one_hot(predicted), make_targets(gold))
    assert rows["correct"] == [True, False, True, True, False]
    count_columns = measures.columns(report["measures"])
    again = measures.metric_values({name: np.array(rows[name]) for name in count_columns}, report["measures"])
    assert again == {name: value["value"] for name, value in report["metrics"].items()}
    assert np.trace(np.array(report["confusion"])) == 3


def test_the_label_of_the_other_option_is_no_relation() -> None:
    assert fitted(["no_relation", "works for", "Other"], other="no_relation").relations == ["Other", "works for"]
    with pytest.raises(DataError, match="no relation besides 'no'"):
        fitted(["no(e1,e2)", "no(e2,e1)"], other="no")
    with pytest.raises(DataError, match="only one label"):
        fitted([CE, CE])


# -- marks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "no marks at all",
        "<e1>a</e1> b",
        "<e1>a <e2>b</e2>",
        "<e1>a</e1> <e1>b</e1> <e2>c</e2>",
        "<e1></e1> <e2>b</e2>",
        "</e1>a<e1> <e2>b</e2>",
    ],
)
def test_a_sentence_without_proper_marks_is_refused_with_its_line(text: str, tokenizer: Any) -> None:
    data = examples(["<e1>a</e1> <e2>b</e2>", text], [CE, EC])
    with pytest.raises(DataError, match=r"TRAIN\.TXT, line 5: there is"):
        fitted().encode(tokenizer, data, 32)
    with pytest.raises(DataError, match="Input 1: there is"):
        predict_json(fitted(), None, tokenizer, [{"text": text}], 32, {})


def test_marks_are_encoded_as_signs(tokenizer: Any) -> None:
    texts = ["a <e1>b c</e1> d <e2>e</e2> f", "<e2>a</e2><e1>b</e1>", "<e1>a <e2>b</e2></e1>"]
    task = fitted()
    encoded = task.encode(tokenizer, examples(texts, [CE, EC, "Other"]), 32)
    decoded = [tokenizer.decode(encoded.tokens.ids[a:b]) for a, b in itertools.pairwise(encoded.tokens.offsets)]
    assert decoded == ["[CLS] a @ b c @ d # e # f [SEP]", "[CLS] # a # @ b @ [SEP]", "[CLS] @ a # b # @ [SEP]"]
    batch = task.collate(encoded, np.array([1, 0]), 0)
    count = len(LABELS)
    expected = torch.full((2, 12), IGNORE_INDEX)
    expected[0, 4], expected[0, 1] = LABELS.index(EC), LABELS.index(EC) + count
    expected[1, 2], expected[1, 7] = LABELS.index(CE), LABELS.index(CE) + count
    assert torch.equal(batch["labels"], expected)
    assert list(task.texts(examples(texts[:1], [CE]))) == ["a @ b c @ d # e # f"]


def test_signs_are_tokens_of_the_vocabulary_or_noted(tokenizer: Any, tmp_path: Path) -> None:
    assert choose_signs(tokenizer) == (SIGNS[0], "")
    signs, note = choose_signs(load_tokenizer(make_model(tmp_path)))
    assert signs == SIGNS[0] and "the model cannot see the marks" in note


def test_long_sentences_are_cut_around_the_marks(tokenizer: Any) -> None:
    task = fitted()
    text = " ".join(["a"] * 20 + ["<e1>b</e1> c <e2>d</e2>"] + ["e"] * 20)
    for longest in (9, 10, 13, 30, 49, 50):
        encoded = task.encode(tokenizer, examples([text, "<e1>i</e1> <e2>j</e2>"], [CE, EC]), longest)
        assert encoded.tokens.lengths.tolist() == [min(longest, 49), 8]
        assert encoded.tokens.full_lengths.tolist() == [49, 8]
        ids = encoded.tokens.ids[: encoded.tokens.offsets[1]]
        assert "@ b @ c # d #" in tokenizer.decode(ids) and tokenizer.decode(ids[[0, -1]]) == "[CLS] [SEP]"
        marks = encoded.targets.marks[: encoded.tokens.offsets[1]]
        assert tokenizer.decode(ids[marks == 0]) == "@" and tokenizer.decode(ids[marks > 0]) == "#"
        assert bool(encoded.note) == (longest < 49)
    for side, position in (("<e1>b</e1> c <e2>d</e2>" + " e" * 30, 1), ("a " * 30 + "<e1>b</e1> c <e2>d</e2>", 7)):
        encoded = task.encode(tokenizer, examples([side], [CE]), 16)
        assert (encoded.targets.marks == 0).argmax() in (position, 8)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(6, 40), st.booleans())
def test_marks_that_are_too_far_apart_lose_the_text_between_them(
    tokenizer: Any, first: int, between: int, second: int, longest: int, reverse: bool
) -> None:
    one, two = ("e2", "e1") if reverse else ("e1", "e2")
    text = f"i <{one}>{'a ' * first}</{one}> {'c ' * between} <{two}>{'b ' * second}</{two}> j"
    encoded = fitted().encode(tokenizer, examples([text], [CE]), longest)
    whole = first + between + second + 8  # marks, i, j, [CLS] and [SEP]
    marks = encoded.targets.marks
    assert (marks == 0).sum() == (marks > 0).sum() == 1 and bool(encoded.note) == (longest < whole)
    assert longest - 1 <= len(encoded.tokens.ids) or len(encoded.tokens.ids) == whole
    assert len(encoded.tokens.ids) <= longest
    following = encoded.tokens.ids[np.flatnonzero(marks != IGNORE_INDEX) + 1]
    assert set(tokenizer.decode(following).split()) <= {"a", "b", "@", "#"}


@given(st.integers(0, 30), st.integers(0, 9), st.integers(0, 30), st.integers(17, 60))
def test_a_cut_keeps_all_marks_and_as_much_as_fits(
    tokenizer: Any, before: int, between: int, after: int, longest: int
) -> None:
    text = " ".join(["a"] * before + ["<e1>b</e1>"] + ["c"] * between + ["<e2>d</e2>"] + ["e"] * after)
    encoded = fitted().encode(tokenizer, examples([text], [CE]), longest)
    decoded = tokenizer.decode(encoded.tokens.ids)
    assert decoded.count("@") == decoded.count("#") == 2
    assert len(encoded.tokens.ids) == min(longest, before + between + after + 8)


# -- the head -------------------------------------------------------------------------------------------------------


def test_the_head_is_one_linear_map_over_both_marks(tokenizer: Any) -> None:
    """Compare with one matrix times the two concatenated states; nothing else has a loss."""
    from transformers import BertConfig, BertForTokenClassification

    task = fitted([CE, EC, "Other"])
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = BertForTokenClassification(BertConfig(vocab_size=30, **sizes, **task.model_options())).eval()
    texts = ["a <e1>b c</e1> d <e2>e</e2> f", "<e2>a</e2><e1>b</e1>"]
    encoded = task.encode(tokenizer, examples(texts, [EC, "Other"]), 32)
    batch = task.collate(encoded, np.array([0, 1]), 0, multiple=16)
    with torch.no_grad():
        output = task.forward(model, batch)
        states = model.bert(batch["input_ids"], batch["attention_mask"]).last_hidden_state
    concatenated = torch.stack([torch.cat([states[0, 2], states[0, 7]]), torch.cat([states[1, 4], states[1, 1]])])
    matrix = torch.cat([model.classifier.weight[:3], model.classifier.weight[3:]], dim=1)
    logits = concatenated @ matrix.T + model.classifier.bias[:3] + model.classifier.bias[3:]
    assert torch.allclose(output.logits, logits, atol=1e-5)
    classes = torch.tensor([task.labels.index(EC), task.labels.index("Other")])
    assert torch.allclose(output.loss, torch.nn.functional.cross_entropy(logits, classes), atol=1e-5)
    probabilities = task.outputs(output, batch)
    assert torch.allclose(probabilities, logits.softmax(-1), atol=1e-5)


# -- predictions ----------------------------------------------------------------------------------------------------


def test_head_and_tail_are_detected_in_the_text() -> None:
    inputs = {"text": "The fire caused a loss.", "head": "loss", "tail": "The fire"}
    assert marked_text(inputs, "Input 1") == "<e2>The fire</e2> caused a <e1>loss</e1>."
    assert marked_text({"text": "ab", "head": "a", "tail": "b"}, "Input 1") == "<e1>a</e1><e2>b</e2>"
    assert marked_text({"text": "ab", "head": "b", "tail": "a"}, "Input 1") == "<e2>a</e2><e1>b</e1>"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"text": "a fire and a fire", "head": "fire", "tail": "and"}, "head 'fire' occurs 2 times"),
        ({"text": "a fire", "head": "fire", "tail": "loss"}, "tail 'loss' does not occur"),
        ({"text": "a fire", "head": "fire"}, "Input 3 has no tail"),
        ({"text": "a fire", "head": "a fire", "tail": "fire"}, "overlap"),
        ({"head": "fire", "tail": "loss"}, "Input 3 has no text"),
    ],
)
def test_unusable_head_and_tail_are_refused(inputs: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        marked_text(inputs, "Input 3")


def test_answers_name_the_relation_and_its_direction(tokenizer: Any) -> None:
    from transformers import BertConfig, BertForTokenClassification

    task = fitted([EC, "Other"])
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = BertForTokenClassification(BertConfig(vocab_size=30, **sizes, **task.model_options())).eval()
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([1.0, 0.0, 1.0, 0.0]))
    inputs = [{"text": "the <e1>d e</e1> of <e2>a <x>b</e2>"}, {"text": "a b", "head": "a", "tail": "b"}]
    first, second = predict_json(task, model, tokenizer, inputs, 32, {})
    assert list(first) == ["label", "score", "relation", "from", "to", "scores"]
    assert (first["label"], first["relation"], first["from"], first["to"]) == (EC, "Cause-Effect", "a <x>b", "d e")
    assert first["score"] == pytest.approx(1 / (1 + np.exp(-2)))
    assert (second["from"], second["to"]) == ("b", "a")
    with torch.no_grad():
        model.classifier.bias.zero_()[1] = 9.0
    (other,) = predict_json(task, model, tokenizer, inputs[:1], 32, {})
    assert list(other) == ["label", "score", "scores"] and other["label"] == "Other"
    with pytest.raises(SpecError, match="temperature cannot be set"):
        predict_json(task, model, tokenizer, inputs, 32, {"temperature": 1})


def test_marked_expressions_are_read_back() -> None:
    marked = MarkedSentence.read("a <e2>b <e1>c</e1> d</e2>", "here")
    assert (marked.expression(1), marked.expression(2)) == ("c", "b c d")
    assert MarkedSentence.read(f"<e1>{GOOD[0]}</e1><e2>{OTHER[0]}</e2>", "here").marks == (0, 2, 3, 5)
