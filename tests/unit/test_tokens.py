"""Texts as token tables, held against transformers' own tokenizer call."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tiny import make_model, reviews
from workbench.data.tokens import tokenize
from workbench.errors import RequestError
from workbench.models.pretrained import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return load_tokenizer(make_model(tmp_path_factory.mktemp("model")))


def test_ids_and_padding_are_what_transformers_gives(tokenizer):
    texts = [text for text, _ in reviews(40)]
    table = tokenize(tokenizer, texts, max_length=10)
    chosen = [7, 0, 33]
    ours = table.pad(chosen, pad_id=0)
    theirs = tokenizer([texts[i] for i in chosen], truncation=True, max_length=10, padding=True, return_tensors="np")
    assert (ours["input_ids"] == theirs["input_ids"]).all()
    assert (ours["attention_mask"] == theirs["attention_mask"]).all()


@pytest.mark.parametrize("max_length", [8, 14, 60])
def test_pairs_have_types_and_lose_the_longer_text_first(tokenizer, max_length):
    first, second = ["the film is great"] * 2, ["a story", "a story and a plot with music and actors and its ending"]
    table = tokenize(tokenizer, first, second, max_length)
    ours = table.pad([0, 1], pad_id=0)
    theirs = tokenizer(
        first, second, truncation="longest_first", max_length=max_length, padding=True, return_tensors="np"
    )
    for name in ("input_ids", "token_type_ids", "attention_mask"):
        assert (ours[name] == theirs[name]).all(), name


def test_lengths_before_truncation_are_kept(tokenizer):
    table = tokenize(tokenizer, ["the film", "the film is very very very dull"], max_length=5)
    assert table.full_lengths.tolist() == [4, 9]
    assert table.lengths.tolist() == [4, 5]


def test_the_width_is_rounded_up(tokenizer):
    table = tokenize(tokenizer, ["the film", "the film is very dull"])
    assert table.pad([0, 1], 0, multiple=8)["input_ids"].shape == (2, 8)
    assert (table.pad([0], 0, multiple=8)["attention_mask"].sum(), len(table)) == (4, 2)


def test_no_texts_is_an_empty_table(tokenizer):
    table = tokenize(tokenizer, [])
    assert len(table) == 0 and table.ids.dtype == np.int32


def test_a_tokenizer_without_a_fast_form_is_refused():
    with pytest.raises(RequestError, match="no fast form"):
        tokenize(object(), ["a"])
