"""Relation extraction: the official score by hand, marks where they are, one linear map over both of them."""

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


def answers_text(labels: list[str]) -> Any:
    """Outputs that say these labels."""
    return np.eye(len(LABELS), dtype=np.float32)[[LABELS.index(label) for label in labels]]


def targets(labels: list[str]) -> RelationTargets:
    classes = np.array([LABELS.index(label) for label in labels])
    return RelationTargets(classes, np.zeros(0, dtype=np.int32))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A word is a token, and so are @ and #."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "@", "#", *"abcdefghij"]
    result = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    result.pre_tokenizer = pre_tokenizers.Whitespace()
    result.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=result, **special)


# -- the official score ---------------------------------------------------------------------------------------------

CE, EC, PP = "Cause-Effect(e1,e2)", "Cause-Effect(e2,e1)", "Product-Producer(e1,e2)"


def test_the_official_score_by_hand() -> None:
    """Nine-way without Other, direction counted: a wrong direction is answers_text and there, and not right."""
    gold = [CE, CE, CE, EC, PP, PP, "Other", "Other"]
    answers = [CE, EC, "Other", EC, PP, CE, "Other", PP]
    # Cause-Effect: right 2 (CE, EC); answers_text 4 (CE, EC, EC, CE); there 4: P 1/2, R 1/2, F 1/2
    # Product-Producer: right 1; answers_text 2; there 2: F 1/2. The other seven: 0.
    result = fitted().metrics(answers_text(answers), targets(gold))
    assert result["macro_f1"] == pytest.approx((1 / 2 + 1 / 2) / 9)
    assert result["micro_f1"] == pytest.approx(2 * 3 / (6 + 6))
    assert result["accuracy"] == 4 / 8


def test_a_wrong_direction_alone_scores_nothing() -> None:
    assert fitted().metrics(answers_text([EC]), targets([CE])) == {"macro_f1": 0, "micro_f1": 0, "accuracy": 0}
    only_other = fitted().metrics(answers_text(["Other"] * 3), targets(["Other"] * 3))
    assert only_other == {"macro_f1": 0, "micro_f1": 0, "accuracy": 1}


def official(gold: list[str], answers: list[str]) -> float:
    """The scorer's definition, relation by relation, from its confusion matrix of ten rows and a column xDIRx."""
    total = 0.0
    for name in NINE:
        right = sum(g == a and relation(g) == name for g, a in zip(gold, answers, strict=True))
        wrong_direction = sum(g != a and relation(g) == name == relation(a) for g, a in zip(gold, answers, strict=True))
        column = right + sum(relation(a) == name != relation(g) for g, a in zip(gold, answers, strict=True))
        row = right + sum(relation(g) == name != relation(a) for g, a in zip(gold, answers, strict=True))
        precision = right / (column + wrong_direction) if column + wrong_direction else 0.0
        recall = right / (row + wrong_direction) if row + wrong_direction else 0.0
        total += 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return total / len(NINE)


@given(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS), st.booleans()), min_size=1, max_size=60))
def test_the_official_score_against_the_scorers_matrix(drawn: list[tuple[str, str, bool]]) -> None:
    gold = [each[0] for each in drawn]
    answers = [g if right else a for g, a, right in drawn]
    assert fitted().metrics(answers_text(answers), targets(gold))["macro_f1"] == pytest.approx(official(gold, answers))


def test_report_and_rows_tell_the_same() -> None:
    gold, answers = [CE, EC, PP, "Other", CE], [CE, CE, PP, "Other", "Other"]
    task = fitted()
    report = task.report(answers_text(answers), targets(gold), targets([EC, EC, "Other", CE]))
    assert report["baseline_name"] == f"always {EC!r} (most frequent in training)"
    assert report["baseline"] == task.metrics(answers_text([EC] * 5), targets(gold))
    assert report["per_class"]["Cause-Effect"] == {"precision": 0.5, "recall": 1 / 3, "f1": 0.4, "support": 3}
    assert "Other" not in report["per_class"]
    options_ = examples([f"<e1>{i}</e1> <e2>b</e2>" for i in range(5)], gold)
    rows = task.prediction_rows(options_, answers_text(answers), targets(gold))
    assert rows["correct"] == [True, False, True, True, False]
    needed = measures.columns(report["measures"])
    again = measures.metric_values({name: np.array(rows[name]) for name in needed}, report["measures"])
    assert again == {name: value["value"] for name, value in report["metrics"].items()}
    assert np.trace(np.array(report["confusion"])) == 3


def test_the_option_other_excludes_a_label() -> None:
    assert fitted(["no_relation", "works for", "Other"], other="no_relation").relations == ["Other", "works for"]
    with pytest.raises(DataError, match="no relation besides 'no'"):
        fitted(["no(e1,e2)", "no(e2,e1)"], other="no")
    with pytest.raises(DataError, match="one label only"):
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
    options_ = examples(["<e1>a</e1> <e2>b</e2>", text], [CE, EC])
    with pytest.raises(DataError, match=r"TRAIN\.TXT, line 5: there is"):
        fitted().encode(tokenizer, options_, 32)
    with pytest.raises(DataError, match="Input 1: there is"):
        predict_json(fitted(), None, tokenizer, [{"text": text}], 32, {})


def test_marks_reach_the_model_as_signs(tokenizer: Any) -> None:
    texts = ["a <e1>b c</e1> d <e2>e</e2> f", "<e2>a</e2><e1>b</e1>", "<e1>a <e2>b</e2></e1>"]
    task = fitted()
    encoded = task.encode(tokenizer, examples(texts, [CE, EC, "Other"]), 32)
    read = [tokenizer.decode(encoded.tokens.ids[a:b]) for a, b in itertools.pairwise(encoded.tokens.offsets)]
    assert read == ["[CLS] a @ b c @ d # e # f [SEP]", "[CLS] # a # @ b @ [SEP]", "[CLS] @ a # b # @ [SEP]"]
    batch = task.collate(encoded, np.array([1, 0]), 0)
    count = len(LABELS)
    expected = torch.full((2, 12), IGNORE_INDEX)
    expected[0, 4], expected[0, 1] = LABELS.index(EC), LABELS.index(EC) + count
    expected[1, 2], expected[1, 7] = LABELS.index(CE), LABELS.index(CE) + count
    assert torch.equal(batch["labels"], expected)
    assert list(task.texts(examples(texts[:1], [CE]))) == ["a @ b c @ d # e # f"]


def test_signs_that_the_tokenizer_knows(tokenizer: Any, tmp_path: Path) -> None:
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
    with pytest.raises(DataError, match=r"line 1: from e1 to e2 there are 7 tokens, .* has room for 6"):
        task.encode(tokenizer, examples([text], [CE]), 8)


@given(st.integers(0, 30), st.integers(0, 9), st.integers(0, 30), st.integers(17, 60))
def test_a_cut_keeps_all_marks_and_as_much_as_fits(
    tokenizer: Any, before: int, between: int, behind: int, longest: int
) -> None:
    text = " ".join(["a"] * before + ["<e1>b</e1>"] + ["c"] * between + ["<e2>d</e2>"] + ["e"] * behind)
    encoded = fitted().encode(tokenizer, examples([text], [CE]), longest)
    read = tokenizer.decode(encoded.tokens.ids)
    assert read.count("@") == read.count("#") == 2
    assert len(encoded.tokens.ids) == min(longest, before + between + behind + 8)


# -- the head -------------------------------------------------------------------------------------------------------


def test_the_head_is_one_linear_map_over_both_marks(tokenizer: Any) -> None:
    """Against the two states put one behind the other, times one matrix; and no loss of anything else."""
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
    both = torch.stack([torch.cat([states[0, 2], states[0, 7]]), torch.cat([states[1, 4], states[1, 1]])])
    matrix = torch.cat([model.classifier.weight[:3], model.classifier.weight[3:]], dim=1)
    logits = both @ matrix.T + model.classifier.bias[:3] + model.classifier.bias[3:]
    assert torch.allclose(output.logits, logits, atol=1e-5)
    classes = torch.tensor([task.labels.index(EC), task.labels.index("Other")])
    assert torch.allclose(output.loss, torch.nn.functional.cross_entropy(logits, classes), atol=1e-5)
    probabilities = task.outputs(output, batch)
    assert torch.allclose(probabilities, logits.softmax(-1), atol=1e-5)


# -- asked ----------------------------------------------------------------------------------------------------------


def test_head_and_tail_are_detected_in_the_text() -> None:
    options_ = {"text": "The fire caused a loss.", "head": "loss", "tail": "The fire"}
    assert marked_text(options_, "Input 1") == "<e2>The fire</e2> caused a <e1>loss</e1>."
    assert marked_text({"text": "ab", "head": "a", "tail": "b"}, "Input 1") == "<e1>a</e1><e2>b</e2>"
    assert marked_text({"text": "ab", "head": "b", "tail": "a"}, "Input 1") == "<e2>a</e2><e1>b</e1>"


@pytest.mark.parametrize(
    ("options_", "message"),
    [
        ({"text": "a fire and a fire", "head": "fire", "tail": "and"}, "head 'fire' occurs 2 times"),
        ({"text": "a fire", "head": "fire", "tail": "loss"}, "tail 'loss' does not occur"),
        ({"text": "a fire", "head": "fire"}, "Input 3 has no tail"),
        ({"text": "a fire", "head": "a fire", "tail": "fire"}, "overlap"),
        ({"head": "fire", "tail": "loss"}, "Input 3 has no text"),
    ],
)
def test_head_and_tail_that_cannot_be_used(options_: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        marked_text(options_, "Input 3")


def test_answers_say_what_is_related_to_what(tokenizer: Any) -> None:
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


def test_marked_things_are_read_back() -> None:
    marked = MarkedSentence.read("a <e2>b <e1>c</e1> d</e2>", "here")
    assert (marked.expression(1), marked.expression(2)) == ("c", "b c d")
    assert MarkedSentence.read(f"<e1>{GOOD[0]}</e1><e2>{OTHER[0]}</e2>", "here").marks == (0, 2, 3, 5)
