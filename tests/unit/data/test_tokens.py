"""Texts as token tables, compared with transformers' tokenizers."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tests.tiny import make_model, reviews
from workbench.data.text.tokens import tokenize, tokenize_words
from workbench.data.text.windows import tokenize_windows
from workbench.errors import RequestError
from workbench.models.loading import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return load_tokenizer(make_model(tmp_path_factory.mktemp("model")))


def test_ids_and_padding_match_transformers(tokenizer):
    texts = [text for text, _ in reviews(40)]
    table = tokenize(tokenizer, texts, max_length=10)
    chosen = [7, 0, 33]
    ours = table.pad(chosen, pad_id=0)
    theirs = tokenizer([texts[i] for i in chosen], truncation=True, max_length=10, padding=True, return_tensors="np")
    assert (ours["input_ids"] == theirs["input_ids"]).all()
    assert (ours["attention_mask"] == theirs["attention_mask"]).all()


@pytest.mark.parametrize("max_length", [8, 14, 60])
def test_pairs_have_types_and_the_longer_text_is_truncated_first(tokenizer, max_length):
    first, second = ["the film is great"] * 2, ["a story", "a story and a plot with music and actors and its ending"]
    table = tokenize(tokenizer, first, second, max_length)
    ours = table.pad([0, 1], pad_id=0)
    theirs = tokenizer(
        first, second, truncation="longest_first", max_length=max_length, padding=True, return_tensors="np"
    )
    for name in ("input_ids", "token_type_ids", "attention_mask"):
        assert (ours[name] == theirs[name]).all(), name


def test_lengths_before_truncation_are_stored(tokenizer):
    table = tokenize(tokenizer, ["the film", "the film is very very very dull"], max_length=5)
    assert table.full_lengths.tolist() == [4, 9]
    assert table.lengths.tolist() == [4, 5]


def test_the_width_is_rounded_up(tokenizer):
    table = tokenize(tokenizer, ["the film", "the film is very dull"])
    assert table.pad([0, 1], 0, multiple=8)["input_ids"].shape == (2, 8)
    assert (table.pad([0], 0, multiple=8)["attention_mask"].sum(), len(table)) == (4, 2)


def test_no_texts_make_an_empty_table(tokenizer):
    table = tokenize(tokenizer, [])
    assert len(table) == 0 and table.ids.dtype == np.int32


def test_a_slow_tokenizer_is_refused():
    with pytest.raises(RequestError, match="not a fast tokenizer"):
        tokenize(object(), ["a"])


# -- words ------------------------------------------------------------------------------------------------------------


def byte_level(trim: bool = True) -> PreTrainedTokenizerFast:
    """A tokenizer like RoBERTa's: bytes, a space before words, two separators between the texts of a pair."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<s>", "</s>"]
    )
    backend.train_from_iterator([text for text, _ in reviews(200)], trainer)
    backend.post_processor = processors.RobertaProcessing(
        ("</s>", 1), ("<s>", 0), trim_offsets=trim, add_prefix_space=False
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_input_names=["input_ids", "attention_mask"])


WORDS = [["the", "unbelievable", "film", "is", "great"], ["a"], ["dull", "\u200b", "plot", "!"], [], ["我", "爱", "it"]]


@pytest.mark.parametrize("max_length", [5, 9, 100])
def test_words_match_the_tokenizer_for_each_row(tokenizer, max_length):
    table = tokenize_words(tokenizer, WORDS, max_length)
    backend = tokenizer.backend_tokenizer
    for i, row in enumerate(WORDS):
        backend.no_truncation()
        full = len(backend.encode(row, is_pretokenized=True))
        backend.enable_truncation(max_length)
        reference = backend.encode(row, is_pretokenized=True)
        row_tokens = slice(table.offsets[i], table.offsets[i + 1])
        assert table.ids[row_tokens].tolist() == reference.ids
        assert table.words[row_tokens].tolist() == [-1 if word is None else word for word in reference.word_ids]
        assert table.full_lengths[i] == full


def test_words_of_a_tokenizer_that_needs_spaces():
    """Words tokenize as they do in a text, and each token belongs to the word with its characters."""
    tokenizer = byte_level()
    row = ["the", "unbelievable", "film", "is", "great"]
    table = tokenize_words(tokenizer, [row])
    reference = tokenizer.backend_tokenizer.encode(" ".join(row))
    assert table.ids.tolist() == reference.ids
    starts = [0, 4, 17, 22, 25]
    expected = [sum(begin >= s for s in starts) - 1 if end else -1 for begin, end in reference.offsets]
    assert table.words.tolist() == expected


def test_no_space_is_put_between_chinese_characters():
    tokenizer = byte_level()
    table = tokenize_words(tokenizer, [["我", "爱", "电"]])
    assert table.ids.tolist() == tokenizer.backend_tokenizer.encode("我爱电").ids


def test_no_rows_of_words():
    assert len(tokenize_words(byte_level(), [])) == 0


# -- windows ----------------------------------------------------------------------------------------------------------

QUESTIONS = ["Is the film good?", "who wrote it", "film", "is it?", "what now"]
CONTEXTS = [" ".join(text for text, _ in reviews(30)), "a story — naïve 😀 plot", "short", "", "the film " * 40 + "end"]


def reference_windows(tokenizer, question: str, context: str, max_length: int, stride: int) -> list[tuple]:
    """Return each window's ids, types and spans, from the library's own truncation of the second text."""
    backend = tokenizer.backend_tokenizer
    backend.enable_truncation(max_length, stride=stride, strategy="only_second")
    first = backend.encode(question, context)
    windows = []
    for e in [first, *first.overflowing]:
        spans = [s if q == 1 else (-1, -1) for s, q in zip(e.offsets, e.sequence_ids, strict=True)]
        windows.append((e.ids, e.type_ids, spans))
    backend.no_truncation()
    return windows


@pytest.mark.parametrize("kind", ["wordpiece", "bytes", "bytes, spaces kept"])
@pytest.mark.parametrize(("max_length", "stride"), [(40, 8), (64, 16), (33, 0), (2000, 100)])
def test_windows_match_the_library(tokenizer, kind, max_length, stride):
    window_tokenizer = tokenizer if kind == "wordpiece" else byte_level(trim=kind == "bytes")
    windows = tokenize_windows(window_tokenizer, QUESTIONS, CONTEXTS, max_length, stride)
    assert sorted(set(windows.example.tolist())) == list(range(len(QUESTIONS)))
    assert (windows.tokens.types is not None) == (kind == "wordpiece")
    for example, (question, context) in enumerate(zip(QUESTIONS, CONTEXTS, strict=True)):
        reference = reference_windows(window_tokenizer, question, context, max_length, stride)
        window_numbers = np.flatnonzero(windows.example == example)
        assert len(window_numbers) == len(reference)
        for window, (ids, types, spans) in zip(window_numbers, reference, strict=True):
            tokens_of = slice(windows.tokens.offsets[window], windows.tokens.offsets[window + 1])
            assert windows.tokens.ids[tokens_of].tolist() == ids
            assert [tuple(span) for span in windows.spans[tokens_of].tolist()] == spans
            if windows.tokens.types is not None:
                assert windows.tokens.types[tokens_of].tolist() == types


def test_spans_are_characters_of_the_context(tokenizer):
    context = "é😀 the film was great"
    windows = tokenize_windows(tokenizer, ["film"], [context], 60, 10)
    chunks = [context[begin:end] for begin, end in windows.spans.tolist() if begin >= 0]
    assert "".join(chunks) == context.replace(" ", "")


def test_a_long_question_is_truncated_and_counted(tokenizer):
    windows = tokenize_windows(tokenizer, ["film " * 50], ["the plot is dull"], 23, 4)
    assert windows.tokens.lengths.max() <= 23
    assert (windows.tokens.full_lengths - windows.tokens.lengths).tolist() == [40] * len(windows)
    assert sorted({tuple(s) for s in windows.spans.tolist()} - {(-1, -1)})[-1][1] == len("the plot is dull")


def test_a_stride_wider_than_the_window_terminates(tokenizer):
    windows = tokenize_windows(tokenizer, ["film"], ["the film " * 500], 20, 1000)
    assert len(windows) < 200


def test_no_room_and_no_examples(tokenizer):
    with pytest.raises(RequestError, match="leave no room"):
        tokenize_windows(tokenizer, ["film"], ["the film"], 4, 0)
    assert len(tokenize_windows(tokenizer, [], [], 40, 0)) == 0
