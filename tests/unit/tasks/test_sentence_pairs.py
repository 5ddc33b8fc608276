"""Sentence pairs: half continuous, half with a text of another document, and no token is lost."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.tasks.shared.sentence_pairs import OtherDocuments, make_pairs, sentences

SENTENCES = {
    'It is late. He said "no!" Then he left?  Yes': ["It is late. ", 'He said "no!" ', "Then he left?  ", "Yes"],
    "3.5 litres cost 2.10 euros": ["3.5 litres cost 2.10 euros"],
    "房间很大。服务好！\n早餐？不行": ["房间很大。", "服务好！", "早餐？", "不行"],
    "one\n\ntwo\nthree": ["one\n\n", "two\n", "three"],
    "  \n ": [],
}


@pytest.mark.parametrize("text", SENTENCES)
def test_sentence_splitting_loses_nothing(text):
    split = sentences(text)
    assert [s.strip() for s in split] == [s.strip() for s in SENTENCES[text]]
    assert "".join("".join(split).split()) == "".join(text.split())


def documents(count, most, seed=0):
    """Return borders of sentences of 1 to 20 tokens in ``count`` consecutive documents."""
    generator = np.random.default_rng(seed)
    borders, start = [], 0
    for _ in range(count):
        sizes = generator.integers(1, 21, size=generator.integers(1, most + 1))
        borders.append(np.concatenate([[start], start + np.cumsum(sizes)]))
        start = int(borders[-1][-1])
    return borders


def test_the_second_text_follows_the_first():
    borders, room = documents(400, 8), 50
    pairs = make_pairs(borders, room, seed=0)
    document_starts, document_ends = np.array([b[0] for b in borders]), np.array([b[-1] for b in borders])
    ends = pairs.starts + pairs.lengths
    assert (ends[:, 0] == pairs.starts[:, 1]).all(), "B begins where A ends"
    assert (pairs.starts >= document_starts[pairs.document, None]).all() and (
        ends <= document_ends[pairs.document, None]
    ).all()
    assert pairs.lengths.sum(axis=1).max() == room and pairs.lengths.min() >= 1
    inner = ends[:, 1] < document_ends[pairs.document]
    short = pairs.lengths.sum(axis=1) < room
    assert 0.02 < short[inner].mean() < 0.2, "one in ten of the pairs that do not end a document"


@pytest.mark.parametrize("most", [1, 6])
def test_every_token_is_in_exactly_one_pair(most):
    borders = documents(60, most)
    pairs = make_pairs(borders, 40, seed=0)
    seen = np.zeros(int(borders[-1][-1]), dtype=int)
    for start, length in zip(pairs.starts.ravel(), pairs.lengths.ravel(), strict=True):
        seen[start : start + length] += 1
    lost = np.flatnonzero(seen == 0)
    assert seen.max() == 1 and np.isin(lost + 1, [b[-1] for b in borders]).all() and len(lost) < 15
    for index in lost:  # a last sentence of a single token
        assert any(b[-1] == index + 1 for b in borders)


def test_a_sentence_longer_than_a_pair_is_split_without_loss():
    pairs = make_pairs([np.array([0, 500]), np.array([500, 510, 520])], 20, seed=0)
    assert pairs.lengths[pairs.document == 0].sum() == 500 and pairs.lengths.sum(axis=1).max() <= 20


def test_pairs_repeat_with_the_same_seed():
    first, second = (make_pairs(documents(30, 5), 40, seed=0) for _ in range(2))
    assert (first.starts == second.starts).all()
    assert (make_pairs(documents(30, 5), 40, seed=1).starts[:5] != first.starts[:5]).any()


def test_documents_with_nothing_to_pair():
    pairs = make_pairs([np.array([0]), np.array([0, 1]), np.array([1, 9, 12])], 10, seed=0)
    assert set(pairs.document) == {2}
    assert len(make_pairs([np.array([0, 1])], 10, seed=0).document) == 0


def test_a_sampled_text_is_long_enough_and_from_another_document():
    borders = documents(50, 6)
    starts = {int(b): (number, int(own[-1])) for number, own in enumerate(borders) for b in own[:-1]}
    generator = np.random.default_rng(0)
    document, lengths = generator.integers(0, 50, 4000), generator.integers(1, 60, 4000)
    sampled = OtherDocuments(borders).sample(document, lengths, generator)
    assert (sampled >= 0).mean() > 0.95
    for start, own_document, length in zip(sampled, document, lengths, strict=True):
        if start >= 0:
            other, end = starts[int(start)]
            assert other != own_document and start + length <= end
    counts = np.bincount(sampled[(sampled >= 0) & (lengths < 3)], minlength=1)
    assert (counts > 0).sum() > 80, "any sentence of another document may be sampled"


def test_no_text_is_sampled_if_none_is_long_enough():
    borders = [np.array([0, 5]), np.array([5, 105])]
    sampled = OtherDocuments(borders).sample(np.array([1, 0, 0]), np.array([6, 6, 101]), np.random.default_rng(0))
    assert sampled.tolist() == [-1, 5, -1]
