"""Question answering: SQuAD's metrics, answers as token positions and back, the best span of several windows."""

from __future__ import annotations

import copy
import itertools
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForQuestionAnswering, PreTrainedTokenizerFast
from transformers.modeling_outputs import QuestionAnsweringModelOutput

from tests.unit.tasks.predicting import predict_json
from workbench.data.examples import Examples
from workbench.data.text.windows import tokenize_windows
from workbench.errors import DataError, SpecError
from workbench.metrics import squad
from workbench.tasks.base import Target
from workbench.tasks.contexts import Encoded, InferenceContext
from workbench.tasks.question_answering import (
    NO_ANSWER,
    QuestionAnswering,
    Questions,
    longest_sentence,
)
from workbench.types import IGNORE_INDEX


@cache
def tokenizer() -> Any:
    """A tokenizer with one token for each character."""
    letters = [chr(i) for i in range(33, 127)] + list("北京是中国的首都。")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
    backend = Tokenizer(models.WordPiece({p: i for i, p in enumerate(vocabulary)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )  # fmt: skip


def examples(*rows: tuple[str, str, list[tuple[str, int]]]) -> Examples:
    return Examples(
        {
            "question": [question for question, _, _ in rows],
            "context": [context for _, context, _ in rows],
            "answers": [[{"text": text, "start": start} for text, start in answers] for _, _, answers in rows],
        },
        ids=[f"own.jsonl:{i + 1}" for i in range(len(rows))],
        rows=list(range(1, len(rows) + 1)),
    )


def make_task(with_no_answer: bool = False, **options: Any) -> QuestionAnswering:
    task = QuestionAnswering(QuestionAnswering.Config(**options))
    task.labels = ["answer", NO_ANSWER] if with_no_answer else ["answer"]
    return task


# -- SQuAD's metrics ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prediction", "references", "exact", "f1"),
    [
        ("The Broncos!", ["broncos"], 1, 1),  # capitals, punctuation, article
        ("  Denver   Broncos ", ["Denver Broncos"], 1, 1),
        ("the Denver Broncos team", ["Denver Broncos"], 0, 2 * 1.0 * (2 / 3) / (1.0 + 2 / 3)),
        ("Denver", ["Carolina Panthers", "Denver Broncos"], 0, 2 / 3),  # the best match of several
        ("theory", ["ory"], 0, 0),  # an article is a whole word
        ("a b b c", ["b b b"], 0, 2 * 2 / (3 + 3)),  # words are counted: b twice of three ("a" is an article)
        ("twenty-one", ["twenty one"], 0, 0),  # punctuation is removed without a space
        ("", [], 1, 1),  # SQuAD 2.0: correctly no answer
        ("something", [], 0, 0),
        ("", ["something"], 0, 0),
        ("the", ["..."], 1, 1),  # nothing is left of either side
        ("x", ["the", "x"], 1, 1),  # a reference that is empty after normalization is skipped
        ("", ["the", "x"], 0, 0),
        ("1990–2000", ["19902000"], 0, 0),  # SQuAD's punctuation is ASCII's: a dash is not punctuation
        ("北京", ["北京。"], 1, 1),
        ("“北京”", ["北京"], 1, 1),
        ("北京市", ["北京"], 0, 2 * 2 / 5),  # a character is a word
        ("2008年 北京", ["2008 年北京"], 1, 1),
        ("京", ["北京"], 0, 2 / 3),
        ("ひらがな", ["ひらカナ"], 0, 0.5),
    ],
)
def test_exact_match_and_f1(prediction: str, references: list[str], exact: float, f1: float) -> None:
    assert squad.exact_match_and_f1(prediction, references) == (exact, pytest.approx(f1))


def test_metrics_are_means_over_questions() -> None:
    expected = {"exact_match": 100 * 1 / 3, "f1": 100 * (1 + 2 / 3 + 0) / 3}
    targets = Questions(
        ["Denver Broncos", "Denver Broncos", "none of it"],
        [["Denver Broncos"], ["Denver"], []],
        np.arange(3),
        np.array([0, 2, 4, 7]),
        np.array([[0, 6], [7, 14], [0, 6], [7, 14], [0, 4], [5, 7], [8, 10]], dtype=np.int32),
        np.zeros(3, dtype=np.int64),
        np.zeros(3, dtype=np.int64),
    )
    outputs = np.array([[0, 1, 5.0, 5.1, 0.0]] * 3)
    metrics = make_task(candidates=1).metrics(outputs, targets)
    assert {name: 100 * metrics[name] for name in expected} == pytest.approx(expected)
    assert metrics["answered_f1"] == pytest.approx((1 + 2 / 3) / 2) and metrics["no_answer_accuracy"] == 0
    report = make_task(candidates=1).report(outputs, targets, targets)
    assert report["metrics"]["f1"]["value"] == pytest.approx(metrics["f1"])
    assert report["metrics"]["f1"]["low"] <= metrics["f1"] <= report["metrics"]["f1"]["high"]


@pytest.mark.parametrize(
    ("context", "longest"),
    [
        ("It is. The second one is longer. No.", "The second one is longer."),
        ("北京是首都。北京是中国的首都。是。", "北京是中国的首都。"),
        ("no end", "no end"),
    ],
)
def test_longest_sentence(context: str, longest: str) -> None:
    assert longest_sentence(context) == longest


# -- positions ------------------------------------------------------------------------------------------------------

CONTEXT = "Ada wrote notes in 1843, and her friend Charles built an engine."


def test_answers_become_token_positions_and_come_back() -> None:
    """Try every answer of the context, in windows that contain it, cut it, or lie elsewhere."""
    answers = [(m, n) for m, n in itertools.combinations(range(len(CONTEXT) + 1), 2) if n - m <= 14]
    answers = [(m, n) for m, n in answers if not CONTEXT[m].isspace() and not CONTEXT[n - 1].isspace()]
    rows = examples(*(("who?", CONTEXT, [(CONTEXT[m:n], m)]) for m, n in answers))
    encoded = make_task(stride=3).encode(tokenizer(), rows, 24)
    targets: Questions = encoded.targets
    assert len(encoded) > 2 * len(rows) and set(targets.example) == set(range(len(rows)))
    contained = np.zeros(len(rows), dtype=bool)
    for window, example in enumerate(targets.example):
        begin, end = answers[example]
        spans = targets.spans[targets.offsets[window] : targets.offsets[window + 1]].tolist()
        inside = [i for i, (a, b) in enumerate(spans) if a >= 0 and a < end and b > begin]
        context = [span for span in spans if span[0] >= 0]
        whole = bool(inside) and context[0][0] <= begin and context[-1][1] >= end
        contained[example] |= whole
        if whole:
            assert (targets.start[window], targets.end[window]) == (inside[0], inside[-1])
            assert CONTEXT[spans[inside[0]][0] : spans[inside[-1]][1]] == CONTEXT[begin:end]  # a token a character
        else:
            assert targets.start[window] == targets.end[window] and targets.start[window] in (0, IGNORE_INDEX)
    assert all(
        (targets.start[targets.example == i] == IGNORE_INDEX).all() == (not contained[i]) for i in range(len(rows))
    )


def test_an_answer_that_fits_in_no_window_is_noted_and_has_no_loss() -> None:
    rows = examples(("q", "ab cd ef gh ij kl mn", [("ab cd ef gh ij kl", 0)]), ("q", "ab", [("ab", 0)]))
    encoded = make_task(stride=0).encode(tokenizer(), rows, 9)
    assert (encoded.targets.start[:-1] == IGNORE_INDEX).all() and encoded.targets.start[-1] > 0
    assert "1 answers do not fit into any window" in encoded.note
    assert make_task().loss_weight(encoded, np.arange(len(encoded))) == 1


def test_spaces_at_the_edge_of_the_context_belong_to_no_token() -> None:
    encoded = make_task().encode(tokenizer(), examples(("q", "  ab  ", [("  ab  ", 0)])), 20)
    assert (encoded.targets.start.tolist(), encoded.targets.end.tolist()) == ([3], [4])


def test_padding_configured_in_the_tokenizer_file_is_ignored() -> None:
    """MiniLM's tokenizer pads every text to 128 tokens."""
    rows = examples(("q", "a b c", [("b", 2)]))
    plain = make_task().encode(tokenizer(), rows, 20)
    padding = copy.deepcopy(tokenizer())
    padding.backend_tokenizer.enable_padding(length=128)
    padded = make_task().encode(padding, rows, 20)
    assert padded.lengths.tolist() == plain.lengths.tolist() == [7]
    assert padded.targets.start.tolist() == plain.targets.start.tolist()


def test_chinese_answers() -> None:
    encoded = make_task().encode(tokenizer(), examples(("首都", "北京是中国的首都。", [("中国", 3)])), 40)
    targets = encoded.targets
    start, end = (targets.spans[index[0]] for index in (targets.start, targets.end))
    assert (start[0], end[1]) == (3, 5)


# -- outputs of the model --------------------------------------------------------------------------------------------


def brute_force(start: Any, end: Any, eligible: Any, longest: int) -> list[tuple[float, int, int]]:
    indices = np.flatnonzero(eligible)
    spans = [(float(start[i] + end[j]), int(i), int(j)) for i in indices for j in indices if i <= j < i + longest]
    return sorted(spans, reverse=True)


@pytest.mark.parametrize("longest", [1, 3, 40])
def test_best_spans_of_a_window_are_those_of_brute_force(longest: int) -> None:
    generator = torch.Generator().manual_seed(longest)
    start, end = torch.randn(4, 11, generator=generator), torch.randn(4, 11, generator=generator)
    eligible = torch.zeros(4, 11, dtype=torch.bool)
    for row, (a, b) in enumerate([(3, 10), (2, 4), (5, 6), (1, 11)]):
        eligible[row, a:b] = True
    task = make_task(candidates=4, max_answer_tokens=longest)
    rows = task.outputs(QuestionAnsweringModelOutput(None, start, end), {"eligible": eligible}).double().numpy()
    assert rows.shape == (4, 3 * 4 + 2)
    for row in range(4):
        spans = brute_force(start[row].numpy(), end[row].numpy(), eligible[row].numpy(), longest)
        actual = [(rows[row, 8 + c], int(rows[row, c]), int(rows[row, 4 + c])) for c in range(min(4, len(spans)))]
        assert [a[1:] for a in actual] == [s[1:] for s in spans[:4]]
        assert [a[0] for a in actual] == pytest.approx([s[0] for s in spans[:4]], abs=1e-5)
        assert np.isneginf(rows[row, 8 + len(actual) : 12]).all(), "missing candidates stay empty"
        assert rows[row, 12] == pytest.approx(np.logaddexp.reduce([s[0] for s in spans]), abs=1e-5)
        assert rows[row, 13] == pytest.approx(float(start[row, 0] + end[row, 0]), abs=1e-5)


@pytest.mark.parametrize("with_no_answer", [False, True])
def test_the_best_span_of_all_windows_counts(with_no_answer: bool) -> None:
    """Compare with brute force over every span of every window."""
    task = make_task(with_no_answer, candidates=3, max_answer_tokens=6, stride=4)
    rows = examples(("who?", CONTEXT, []), ("when?", "In 1843.", []), ("what?", CONTEXT[::-1], []))
    encoded = task.encode(tokenizer(), rows, 26)
    targets: Questions = encoded.targets
    generator = torch.Generator().manual_seed(1)
    outputs, by_example = [], [dict[tuple[int, int], float]() for _ in range(3)]
    span_scores, null_scores = [[] for _ in range(3)], [[] for _ in range(3)]
    for window, example in enumerate(targets.example):
        batch = task.collate(encoded, np.array([window]), 0)
        width = batch["input_ids"].shape[1]
        start, end = torch.randn(2, 1, width, generator=generator) * 2
        outputs.append(task.outputs(QuestionAnsweringModelOutput(None, start, end), batch))
        spans = targets.spans[targets.offsets[window] : targets.offsets[window + 1]]
        for score, i, j in brute_force(start[0].numpy(), end[0].numpy(), batch["eligible"][0].numpy(), 6):
            key = (int(spans[i][0]), int(spans[j][1]))
            by_example[example][key] = max(score, by_example[example].get(key, -np.inf))
            span_scores[example].append(score)
        null_scores[example].append(float(start[0, 0] + end[0, 0]))
    best_spans = task.best_spans(torch.cat(outputs).numpy(), targets)
    for row in range(3):
        best = sorted(by_example[row].items(), key=lambda item: -item[1])[:1]
        (key, score), null_score = best[0], min(null_scores[row])
        assert (best_spans.start[row, 0], best_spans.end[row, 0]) == key
        whole = np.logaddexp.reduce([*span_scores[row], *([null_score] if with_no_answer else [])])
        assert best_spans.probability[row, 0] == pytest.approx(np.exp(score - whole), rel=1e-4)
        assert best_spans.p_no_answer[row] == pytest.approx(
            np.exp(null_score - whole) if with_no_answer else 0, rel=1e-4
        )
        assert best_spans.no_answer[row] == (with_no_answer and null_score > score)
        pairs = list(zip(best_spans.start[row].tolist(), best_spans.end[row].tolist(), strict=True))
        assert len(set(pairs)) == len(pairs), "a span in two windows is listed once"
        assert list(best_spans.probability[row]) == sorted(best_spans.probability[row], reverse=True)


def test_null_bias_decides_for_no_answer() -> None:
    targets = Questions(
        ["ab"], [["ab"]], np.array([0]), np.array([0, 2]), np.array([[-1, -1], [0, 2]], dtype=np.int32),
        np.array([1]), np.array([1]),
    )  # fmt: skip
    outputs = np.array([[1, 1, 2.0, 2.0, 1.5]])  # the span at 2, no answer at 1.5
    for bias, no_answer in ((0.0, False), (0.6, True)):
        task = make_task(True, candidates=1, null_bias=bias)
        (answer,) = task.decode(task.best_spans(outputs, targets), targets.contexts)
        assert answer.no_answer is no_answer and answer.text == ("" if no_answer else "ab")
        assert answer.candidates[0].text == "ab"
    (answer,) = make_task(candidates=1, null_bias=9).decode(
        make_task(candidates=1).best_spans(outputs, targets), ["ab"]
    )
    assert not answer.no_answer, "a model trained without unanswerable questions always answers"


# -- loss -----------------------------------------------------------------------------------------------------------


@cache
def model() -> Any:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=400, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    return BertForQuestionAnswering(config).eval()


def encoded_pair() -> Encoded:
    rows = examples(("who wrote?", CONTEXT, [("Ada", 0)]), ("when?", "In 1843.", [("1843", 3)]))
    return make_task().encode(tokenizer(), rows, 90)


def test_loss_is_zero_on_question_and_padding() -> None:
    encoded = encoded_pair()
    batch = make_task().collate(encoded, np.array([0, 1]), 0)

    class FreeLogits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = torch.nn.Parameter(torch.randn(2, *batch["input_ids"].shape))

        def forward(self, **inputs: Any) -> Any:
            assert set(inputs) == {"input_ids", "attention_mask", "token_type_ids"}
            return QuestionAnsweringModelOutput(None, *self.logits)

    free_logits = FreeLogits()
    make_task().forward(free_logits, batch).loss.backward()
    counted = batch["eligible"].clone()
    counted[:, 0] = True
    grad = free_logits.logits.grad
    assert (grad[:, ~counted] == 0).all() and (grad[:, counted] != 0).all()


def test_loss_equals_transformers_where_all_tokens_are_eligible() -> None:
    encoded = encoded_pair()
    batch = make_task().collate(encoded, np.array([0]), 0)
    every = {**batch, "eligible": torch.ones_like(batch["eligible"])}
    reference = model()(**{name: tensor for name, tensor in batch.items() if name != "eligible"})
    assert make_task().forward(model(), every).loss.item() == pytest.approx(reference.loss.item(), rel=1e-5)


def test_a_batch_does_not_change_the_outputs_of_its_rows() -> None:
    task, encoded = make_task(), encoded_pair()
    alone = [
        task.outputs(task.forward(model(), b), b) for b in (task.collate(encoded, np.array([i]), 0) for i in (0, 1))
    ]
    assert task.window_outputs(InferenceContext(model(), tokenizer(), 40), encoded) == pytest.approx(
        torch.cat(alone).detach().numpy(), abs=1e-4
    )


def test_the_explained_score_is_that_of_the_span() -> None:
    output = QuestionAnsweringModelOutput(None, torch.randn(2, 7), torch.randn(2, 7))
    score = make_task().target_score(output, {}, Target(0, 3, 5))
    assert torch.equal(score.logit, output.start_logits[:, 3] + output.end_logits[:, 5])
    expected = output.start_logits.softmax(-1)[:, 3] * output.end_logits.softmax(-1)[:, 5]
    torch.testing.assert_close(score.probability, expected)


# -- input ----------------------------------------------------------------------------------------------------------


def test_no_answer_is_learned_from_the_data_or_refused() -> None:
    rows = examples(("q", "ab", [("ab", 0)]), ("q", "cd", []))
    task = make_task()
    task.fit(rows)
    assert task.allows_no_answer
    task.fit(rows.take([0]))
    assert not task.allows_no_answer
    assert "1 questions have no answer, which this model cannot predict" in task.encode(tokenizer(), rows, 20).note
    with pytest.raises(DataError, match="line 2"):
        make_task(no_answer="never").fit(rows)
    with pytest.raises(DataError, match="None of the 1"):
        task.fit(rows.take([1]))
    allowed = make_task(no_answer="allowed")
    allowed.fit(rows.take([0]))
    assert allowed.allows_no_answer


def test_answers_have_positions_and_bad_inputs_are_refused() -> None:
    task = make_task(stride=8)
    inputs = [{"question": "who?", "context": f"  {CONTEXT} " * 4}, {"question": "when?", "context": "In 1843."}]
    long, short = predict_json(task, model(), tokenizer(), inputs, 40, {})
    for answer, example in ((long, inputs[0]), (short, inputs[1])):
        assert answer["no_answer"] is False and 0 <= answer["score"] <= 1
        for each in (answer, *answer["candidates"]):
            assert each["answer"] and example["context"][each["start"] : each["end"]] == each["answer"]
        assert answer["answer"] == answer["candidates"][0]["answer"]
    (limited,) = predict_json(task, model(), tokenizer(), inputs[1:], 40, {"candidates": 2})
    assert len(limited["candidates"]) == 2
    with pytest.raises(DataError, match="Input 2 has no context"):
        predict_json(task, model(), tokenizer(), [inputs[0], {"question": "q", "context": " "}], 40, {})
    with pytest.raises(SpecError, match="candidates"):
        predict_json(task, model(), tokenizer(), inputs, 40, {"candidates": 0})


def test_windows_cover_the_whole_context() -> None:
    windows = tokenize_windows(tokenizer(), ["q"], [CONTEXT], 20, 4)
    seen = {index for a, b in windows.spans.tolist() if a >= 0 for index in range(a, b)}
    assert seen == {i for i, letter in enumerate(CONTEXT) if not letter.isspace()}
