"""Packing: nothing is lost, rows are full, and chunks contain the original text."""

from __future__ import annotations

import copy
import time
from itertools import pairwise

import numpy as np
import pytest

from tests.tiny import make_model, reviews
from workbench.data.text.packing import (
    SpecialTokens,
    TokenSpan,
    best_fit,
    join_chunks,
    pack_chunks,
    special_prefix_suffix,
    split_chunks,
    tokenize_documents,
)
from workbench.models.loading import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return load_tokenizer(make_model(tmp_path_factory.mktemp("model")))


@pytest.mark.parametrize("room", [1, 5, 16, 100])
def test_chunks_cover_every_document_once(room):
    lengths = np.array([0, 1, 5, 6, 16, 33, 0, 100])
    document, begin, length = split_chunks(lengths, room)
    assert (length > 0).all() and (length <= room).all()
    for number, size in enumerate(lengths):
        of_document = document == number
        covered = [
            position
            for b, n in zip(begin[of_document], length[of_document], strict=True)
            for position in range(b, b + n)
        ]
        assert covered == list(range(size))


def test_best_fit_matches_a_manual_example():
    """Longest first: 6 | 5 | 4 goes to the 6, which fills the row, and not to the 5 | 3 and 2 go to the 5."""
    order, first = best_fit(np.array([4, 6, 5, 3, 2]), 10)
    rows = [sorted(order[a:b].tolist()) for a, b in pairwise(first)]
    assert rows == [[0, 1], [2, 3, 4]]
    with pytest.raises(ValueError, match="11 tokens does not fit"):
        best_fit(np.array([11]), 10)
    assert [each.tolist() for each in best_fit(np.zeros(0, np.int64), 10)] == [[], [0]]


@pytest.mark.parametrize(("capacity", "typical"), [(128, 40), (512, 300), (1024, 60)])
def test_packing_loses_nothing_and_fills_the_rows(capacity, typical):
    generator = np.random.default_rng(capacity)
    lengths = generator.lognormal(np.log(typical), 0.8, 20_000).astype(np.int64) + 1
    _, _, chunks = split_chunks(lengths, capacity)
    start = time.process_time()
    order, first = best_fit(chunks, capacity)
    assert time.process_time() - start < 5, "quadratic?"  # a twentieth of a second on a quiet machine
    assert sorted(order.tolist()) == list(range(len(chunks)))
    sums = np.add.reduceat(chunks[order], first[:-1])
    assert sums.max() <= capacity
    assert chunks.sum() / (capacity * len(sums)) > 0.95
    again, _ = best_fit(chunks, capacity)
    assert (again == order).all()


def test_chunks_have_special_tokens_and_the_whole_text(tokenizer):
    texts = [text for text, _ in reviews(30)]
    documents = tokenize_documents(tokenizer, texts, words=True)
    before, after = special_prefix_suffix(tokenizer)
    assert (before, after) == ([2], [3])
    document, begin, lengths = split_chunks(documents.lengths, 6)
    span = TokenSpan(documents.offsets[document] + begin, lengths)
    table = join_chunks(documents, len(lengths), [SpecialTokens(before), span, SpecialTokens(after)])
    short = [i for i, text in enumerate(texts) if len(text.split()) <= 6]
    for number in short:  # matches transformers
        (chunk,) = np.flatnonzero(document == number)
        ids = table.ids[table.offsets[chunk] : table.offsets[chunk + 1]]
        assert ids.tolist() == tokenizer(texts[number])["input_ids"]
    assert (table.words == -1).sum() == 2 * len(table)
    for number in range(len(texts)):
        ids = [
            i for p in np.flatnonzero(document == number) for i in table.ids[table.offsets[p] : table.offsets[p + 1]]
        ]
        assert [i for i in ids if i not in (2, 3)] == tokenizer(texts[number], add_special_tokens=False)["input_ids"]


def test_padding_is_not_a_special_token_of_a_text(tokenizer):
    expected = special_prefix_suffix(tokenizer)
    padding_tokenizer = copy.deepcopy(tokenizer)
    padding_tokenizer.backend_tokenizer.enable_padding(length=64)
    assert special_prefix_suffix(padding_tokenizer) == expected


def test_packed_rows_number_their_documents_and_contain_every_chunk(tokenizer):
    documents = tokenize_documents(tokenizer, [text for text, _ in reviews(40)])
    layout = [SpecialTokens([2]), TokenSpan(documents.offsets[:-1], documents.lengths), SpecialTokens([3])]
    chunks = join_chunks(documents, len(documents), layout)
    table, order, first = pack_chunks(chunks, 32)
    assert table.lengths.max() <= 32
    batch = table.pad(range(len(table)), pad_id=0)
    assert batch["document_ids"].shape == batch["input_ids"].shape
    assert ((batch["document_ids"] == 0) == (batch["attention_mask"] == 0)).all()
    for row, members in enumerate(np.split(order, first[1:-1])):
        for number, chunk in enumerate(members, start=1):
            ids = batch["input_ids"][row][batch["document_ids"][row] == number]
            assert ids.tolist() == chunks.ids[chunks.offsets[chunk] : chunks.offsets[chunk + 1]].tolist()
