"""Question answering: SQuAD's figures, answers as token places and back, the best span of several windows."""

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
    """A token for each word, and for each character of a word that is not known."""
    letters = [chr(i) for i in range(33, 127)] + list("北京是中国的首都。")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
    result = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    result.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    result.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=result, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
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


def task(silent: bool = False, **options: Any) -> QuestionAnswering:
    made = QuestionAnswering(QuestionAnswering.Config(**options))
    made.labels = ["answer", NO_ANSWER] if silent else ["answer"]
    return made


# -- SQuAD's figures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "right", "exact", "f1"),
    [
        ("The Broncos!", ["broncos"], 1, 1),  # capitals, punctuation, article
        ("  Denver   Broncos ", ["Denver Broncos"], 1, 1),
        ("the Denver Broncos team", ["Denver Broncos"], 0, 2 * 1.0 * (2 / 3) / (1.0 + 2 / 3)),
        ("Denver", ["Carolina Panthers", "Denver Broncos"], 0, 2 / 3),  # the nearest of several
        ("theory", ["ory"], 0, 0),  # an article is a whole word
        ("a b b c", ["b b b"], 0, 2 * 2 / (3 + 3)),  # words are counted: b twice of three ("a" is an article)
        ("twenty-one", ["twenty one"], 0, 0),  # punctuation goes and leaves no space
        ("", [], 1, 1),  # SQuAD 2.0: rightly no answer
        ("something", [], 0, 0),
        ("", ["something"], 0, 0),
        ("the", ["..."], 1, 1),  # nothing that counts on either side
        ("x", ["the", "x"], 1, 1),  # a right answer without a word that counts is passed over
        ("", ["the", "x"], 0, 0),
        ("1990–2000", ["19902000"], 0, 0),  # SQuAD's punctuation is ASCII's: a dash is none
        ("北京", ["北京。"], 1, 1),
        ("“北京”", ["北京"], 1, 1),
        ("北京市", ["北京"], 0, 2 * 2 / 5),  # a character is a word
        ("2008年 北京", ["2008 年北京"], 1, 1),
        ("京", ["北京"], 0, 2 / 3),
        ("ひらがな", ["ひらカナ"], 0, 0.5),
    ],
)
def test_exact_match_and_f1(arguments: str, right: list[str], exact: float, f1: float) -> None:
    assert squad.exact_match_and_f1(arguments, right) == (exact, pytest.approx(f1))


def test_metrics_are_means_over_questions() -> None:
    table = {"exact_match": 100 * 1 / 3, "f1": 100 * (1 + 2 / 3 + 0) / 3}
    query = Questions(
        ["Denver Broncos", "Denver Broncos", "none of it"],
        [["Denver Broncos"], ["Denver"], []],
        np.arange(3),
        np.array([0, 2, 4, 7]),
        np.array([[0, 6], [7, 14], [0, 6], [7, 14], [0, 4], [5, 7], [8, 10]], dtype=np.int32),
        np.zeros(3, dtype=np.int64),
        np.zeros(3, dtype=np.int64),
    )
    outputs = np.array([[0, 1, 5.0, 5.1, 0.0]] * 3)
    result = task(candidates=1).metrics(outputs, query)
    assert {name: 100 * result[name] for name in table} == pytest.approx(table)
    assert result["answered_f1"] == pytest.approx((1 + 2 / 3) / 2) and result["no_answer_accuracy"] == 0
    report = task(candidates=1).report(outputs, query, query)
    assert report["metrics"]["f1"]["value"] == pytest.approx(result["f1"])
    assert report["metrics"]["f1"]["low"] <= result["f1"] <= report["metrics"]["f1"]["high"]


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


# -- places ---------------------------------------------------------------------------------------------------------

CONTEXT = "Ada wrote notes in 1843, and her friend Charles built an engine."


def test_answers_become_token_positions_and_come_back() -> None:
    """Against brute force: every answer of the context, in windows that hold it, cut it, or lie elsewhere."""
    words = [(m, n) for m, n in itertools.combinations(range(len(CONTEXT) + 1), 2) if n - m <= 14]
    words = [(m, n) for m, n in words if not CONTEXT[m].isspace() and not CONTEXT[n - 1].isspace()]
    rows = examples(*(("who?", CONTEXT, [(CONTEXT[m:n], m)]) for m, n in words))
    encoded = task(stride=3).encode(tokenizer(), rows, 24)
    query: Questions = encoded.targets
    assert len(encoded) > 2 * len(rows) and set(query.example) == set(range(len(rows)))
    held = np.zeros(len(rows), dtype=bool)
    for window, example in enumerate(query.example):
        begin, end = words[example]
        spans = query.spans[query.offsets[window] : query.offsets[window + 1]].tolist()
        inside = [i for i, (a, b) in enumerate(spans) if a >= 0 and a < end and b > begin]
        context = [span for span in spans if span[0] >= 0]
        whole = bool(inside) and context[0][0] <= begin and context[-1][1] >= end
        held[example] |= whole
        if whole:
            assert (query.start[window], query.end[window]) == (inside[0], inside[-1])
            assert CONTEXT[spans[inside[0]][0] : spans[inside[-1]][1]] == CONTEXT[begin:end]  # a token a character
        else:
            assert query.start[window] == query.end[window] and query.start[window] in (0, IGNORE_INDEX)
    assert all((query.start[query.example == i] == IGNORE_INDEX).all() == (not held[i]) for i in range(len(rows)))


def test_an_answer_that_fits_no_window_is_noted_and_not_learned() -> None:
    rows = examples(("q", "ab cd ef gh ij kl mn", [("ab cd ef gh ij kl", 0)]), ("q", "ab", [("ab", 0)]))
    encoded = task(stride=0).encode(tokenizer(), rows, 9)
    assert (encoded.targets.start[:-1] == IGNORE_INDEX).all() and encoded.targets.start[-1] > 0
    assert "1 answers fit whole into no window" in encoded.note
    assert task().loss_weight(encoded, np.arange(len(encoded))) == 1


def test_spaces_at_the_edge_of_the_context_belong_to_no_token() -> None:
    encoded = task().encode(tokenizer(), examples(("q", "  ab  ", [("  ab  ", 0)])), 20)
    assert (encoded.targets.start.tolist(), encoded.targets.end.tolist()) == ([3], [4])


def test_the_padding_that_a_tokenizers_file_asks_for_gets_into_no_window() -> None:
    """MiniLM's fills every text up to 128 tokens."""
    query = examples(("q", "a b c", [("b", 2)]))
    plain = task().encode(tokenizer(), query, 20)
    filling = copy.deepcopy(tokenizer())
    filling.backend_tokenizer.enable_padding(length=128)
    padded = task().encode(filling, query, 20)
    assert padded.lengths.tolist() == plain.lengths.tolist() == [7]
    assert padded.targets.start.tolist() == plain.targets.start.tolist()


def test_chinese_answers() -> None:
    encoded = task().encode(tokenizer(), examples(("首都", "北京是中国的首都。", [("中国", 3)])), 40)
    query = encoded.targets
    start, end = (query.spans[index[0]] for index in (query.start, query.end))
    assert (start[0], end[1]) == (3, 5)


# -- what the model puts out -----------------------------------------------------------------------------------------


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
    made = task(candidates=4, max_answer_tokens=longest)
    rows = made.outputs(QuestionAnsweringModelOutput(None, start, end), {"eligible": eligible}).double().numpy()
    assert rows.shape == (4, 3 * 4 + 2)
    for row in range(4):
        spans = brute_force(start[row].numpy(), end[row].numpy(), eligible[row].numpy(), longest)
        arguments = [(rows[row, 8 + c], int(rows[row, c]), int(rows[row, 4 + c])) for c in range(min(4, len(spans)))]
        assert [g[1:] for g in arguments] == [s[1:] for s in spans[:4]]
        assert [g[0] for g in arguments] == pytest.approx([s[0] for s in spans[:4]], abs=1e-5)
        assert np.isneginf(rows[row, 8 + len(arguments) : 12]).all(), "no span is made up where there are fewer"
        assert rows[row, 12] == pytest.approx(np.logaddexp.reduce([s[0] for s in spans]), abs=1e-5)
        assert rows[row, 13] == pytest.approx(float(start[row, 0] + end[row, 0]), abs=1e-5)


@pytest.mark.parametrize("silent", [False, True])
def test_the_best_span_of_all_windows_counts(silent: bool) -> None:
    """Against brute force over every span of every window."""
    made = task(silent, candidates=3, max_answer_tokens=6, stride=4)
    rows = examples(("who?", CONTEXT, []), ("when?", "In 1843.", []), ("what?", CONTEXT[::-1], []))
    encoded = made.encode(tokenizer(), rows, 26)
    query: Questions = encoded.targets
    generator = torch.Generator().manual_seed(1)
    outputs, by_example = [], [dict[tuple[int, int], float]() for _ in range(3)]
    total, nothing = [[] for _ in range(3)], [[] for _ in range(3)]
    for window, example in enumerate(query.example):
        batch = made.collate(encoded, np.array([window]), 0)
        width = batch["input_ids"].shape[1]
        start, end = torch.randn(2, 1, width, generator=generator) * 2
        outputs.append(made.outputs(QuestionAnsweringModelOutput(None, start, end), batch))
        spans = query.spans[query.offsets[window] : query.offsets[window + 1]]
        for score, i, j in brute_force(start[0].numpy(), end[0].numpy(), batch["eligible"][0].numpy(), 6):
            key = (int(spans[i][0]), int(spans[j][1]))
            by_example[example][key] = max(score, by_example[example].get(key, -np.inf))
            total[example].append(score)
        nothing[example].append(float(start[0, 0] + end[0, 0]))
    result = made.best_spans(torch.cat(outputs).numpy(), query)
    for row in range(3):
        best = sorted(by_example[row].items(), key=lambda item: -item[1])[:1]
        (key, score), quiet = best[0], min(nothing[row])
        assert (result.start[row, 0], result.end[row, 0]) == key
        whole = np.logaddexp.reduce([*total[row], *([quiet] if silent else [])])
        assert result.probability[row, 0] == pytest.approx(np.exp(score - whole), rel=1e-4)
        assert result.p_no_answer[row] == pytest.approx(np.exp(quiet - whole) if silent else 0, rel=1e-4)
        assert result.no_answer[row] == (silent and quiet > score)
        pairs = list(zip(result.start[row].tolist(), result.end[row].tolist(), strict=True))
        assert len(set(pairs)) == len(pairs), "what two windows hold is told once"
        assert list(result.probability[row]) == sorted(result.probability[row], reverse=True)


def test_null_bias_decides_for_no_answer() -> None:
    query = Questions(
        ["ab"], [["ab"]], np.array([0]), np.array([0, 2]), np.array([[-1, -1], [0, 2]], dtype=np.int32),
        np.array([1]), np.array([1]),
    )  # fmt: skip
    outputs = np.array([[1, 1, 2.0, 2.0, 1.5]])  # the span at 2, no answer at 1.5
    for bias, silent in ((0.0, False), (0.6, True)):
        made = task(True, candidates=1, null_bias=bias)
        (answer,) = made.decode(made.best_spans(outputs, query), query.contexts)
        assert answer.no_answer is silent and answer.text == ("" if silent else "ab")
        assert answer.candidates[0].text == "ab"
    (answer,) = task(candidates=1, null_bias=9).decode(task(candidates=1).best_spans(outputs, query), ["ab"])
    assert not answer.no_answer, "a model that never learned to say so does not"


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
    return task().encode(tokenizer(), rows, 90)


def test_loss_is_zero_on_question_and_padding() -> None:
    encoded = encoded_pair()
    batch = task().collate(encoded, np.array([0, 1]), 0)

    class Scores(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = torch.nn.Parameter(torch.randn(2, *batch["input_ids"].shape))

        def forward(self, **inputs: Any) -> Any:
            assert set(inputs) == {"input_ids", "attention_mask", "token_type_ids"}
            return QuestionAnsweringModelOutput(None, *self.logits)

    scores = Scores()
    task().forward(scores, batch).loss.backward()
    counted = batch["eligible"].clone()
    counted[:, 0] = True
    grad = scores.logits.grad
    assert (grad[:, ~counted] == 0).all() and (grad[:, counted] != 0).all()


def test_loss_is_that_of_transformers_where_all_tokens_may_answer() -> None:
    encoded = encoded_pair()
    batch = task().collate(encoded, np.array([0]), 0)
    every = {**batch, "eligible": torch.ones_like(batch["eligible"])}
    reference = model()(**{name: tensor for name, tensor in batch.items() if name != "eligible"})
    assert task().forward(model(), every).loss.item() == pytest.approx(reference.loss.item(), rel=1e-5)


def test_rows_do_not_change_each_other() -> None:
    made, encoded = task(), encoded_pair()
    alone = [
        made.outputs(made.forward(model(), b), b) for b in (made.collate(encoded, np.array([i]), 0) for i in (0, 1))
    ]
    assert made.window_outputs(InferenceContext(model(), tokenizer(), 40), encoded) == pytest.approx(
        torch.cat(alone).detach().numpy(), abs=1e-4
    )


def test_explained_is_the_span() -> None:
    output = QuestionAnsweringModelOutput(None, torch.randn(2, 7), torch.randn(2, 7))
    result = task().target_score(output, {}, Target(0, 3, 5))
    assert torch.equal(result.logit, output.start_logits[:, 3] + output.end_logits[:, 5])
    expected = output.start_logits.softmax(-1)[:, 3] * output.end_logits.softmax(-1)[:, 5]
    torch.testing.assert_close(result.probability, expected)


# -- input ----------------------------------------------------------------------------------------------------------


def test_no_answer_is_learned_from_the_data_or_refused() -> None:
    both = examples(("q", "ab", [("ab", 0)]), ("q", "cd", []))
    made = task()
    made.fit(both)
    assert made.allows_no_answer
    made.fit(both.take([0]))
    assert not made.allows_no_answer
    assert "cannot say" in made.encode(tokenizer(), both, 20).note
    with pytest.raises(DataError, match="line 2"):
        task(no_answer="never").fit(both)
    with pytest.raises(DataError, match="None of the 1"):
        made.fit(both.take([1]))
    allowed = task(no_answer="allowed")
    allowed.fit(both.take([0]))
    assert allowed.allows_no_answer


def test_answers_say_where_and_what_is_missing() -> None:
    made = task(stride=8)
    arguments = [{"question": "who?", "context": f"  {CONTEXT} " * 4}, {"question": "when?", "context": "In 1843."}]
    long, short = predict_json(made, model(), tokenizer(), arguments, 40, {})
    for answer, query in ((long, arguments[0]), (short, arguments[1])):
        assert answer["no_answer"] is False and 0 <= answer["score"] <= 1
        for each in (answer, *answer["candidates"]):
            assert each["answer"] and query["context"][each["start"] : each["end"]] == each["answer"]
        assert answer["answer"] == answer["candidates"][0]["answer"]
    (one,) = predict_json(made, model(), tokenizer(), arguments[1:], 40, {"candidates": 2})
    assert len(one["candidates"]) == 2
    with pytest.raises(DataError, match="Input 2 has no context"):
        predict_json(made, model(), tokenizer(), [arguments[0], {"question": "q", "context": " "}], 40, {})
    with pytest.raises(SpecError, match="candidates"):
        predict_json(made, model(), tokenizer(), arguments, 40, {"candidates": 0})


def test_windows_cover_the_whole_context() -> None:
    windows = tokenize_windows(tokenizer(), ["q"], [CONTEXT], 20, 4)
    seen = {index for a, b in windows.spans.tolist() if a >= 0 for index in range(a, b)}
    assert seen == {i for i, letter in enumerate(CONTEXT) if not letter.isspace()}
