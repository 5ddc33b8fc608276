"""Sentence pairs: half and half, B truly follows A or truly comes from another document, and no text is lost."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.tasks.sentence_pairs import FOLLOWS, RANDOM, make_pairs, sentences

SENTENCES = {
    'It is late. He said "no!" Then he left?  Yes': ["It is late. ", 'He said "no!" ', "Then he left?  ", "Yes"],
    "3.5 litres cost 2.10 euros": ["3.5 litres cost 2.10 euros"],
    "房间很大。服务好！\n早餐？不行": ["房间很大。", "服务好！", "早餐？", "不行"],
    "one\n\ntwo\nthree": ["one\n\n", "two\n", "three"],
    "  \n ": [],
}


@pytest.mark.parametrize("text", SENTENCES)
def test_sentences_are_found_and_nothing_is_lost(text):
    found = sentences(text)
    assert [s.strip() for s in found] == [s.strip() for s in SENTENCES[text]]
    assert "".join("".join(found).split()) == "".join(text.split())


def documents(count, most, seed=0):
    """Borders of sentences of 1 to 20 tokens in ``count`` documents, one after another."""
    generator = np.random.default_rng(seed)
    borders, at = [], 0
    for _ in range(count):
        sizes = generator.integers(1, 21, size=generator.integers(1, most + 1))
        borders.append(np.concatenate([[at], at + np.cumsum(sizes)]))
        at = int(borders[-1][-1])
    return borders


@pytest.mark.parametrize("most", [1, 8])
def test_half_follow_and_the_others_come_from_elsewhere(most):
    borders, room = documents(400, most), 50
    pairs = make_pairs(borders, room, seed=0)
    begins = np.array([b[0] for b in borders])
    of = np.searchsorted(begins, pairs.starts, side="right") - 1  # [P, 2], the documents of A and B
    assert (of[:, 0] == pairs.document).all()
    ends = pairs.starts + pairs.lengths
    follows = pairs.kind == FOLLOWS
    assert (ends[follows, 0] == pairs.starts[follows, 1]).all() and (of[follows, 0] == of[follows, 1]).all()
    assert (of[~follows, 0] != of[~follows, 1]).all()
    assert (np.searchsorted(begins, ends - 1, side="right") - 1 == of).all(), "no stretch crosses two documents"
    assert pairs.lengths.sum(axis=1).max() <= room and pairs.lengths.min() >= 1
    assert abs(follows.mean() - 0.5) < 0.05, f"{follows.mean():.3f} of {len(follows)} pairs follow"


def test_every_token_stands_in_a_pair_of_its_own_document():
    borders = documents(60, 6)
    pairs = make_pairs(borders, 40, seed=0)
    seen = np.zeros(int(borders[-1][-1]), dtype=int)
    for kind, (a, b), (n, m) in zip(pairs.kind, pairs.starts, pairs.lengths, strict=True):
        seen[a : a + n] += 1
        if kind == FOLLOWS:
            seen[b : b + m] += 1
    assert (seen == 1).all()


def test_a_sentence_longer_than_a_pair_is_cut_and_kept():
    borders = [np.array([0, 500]), np.array([500, 510, 520])]
    pairs = make_pairs(borders, 20, seed=0)
    first = pairs.document == 0
    follows = pairs.kind == FOLLOWS
    covered = pairs.lengths[first, 0].sum() + pairs.lengths[first & follows, 1].sum()
    assert covered == 500 and pairs.lengths.sum(axis=1).max() <= 20


def test_the_same_pairs_each_time():
    one, other = (make_pairs(documents(30, 5), 40, seed=0) for _ in range(2))
    assert (one.starts == other.starts).all() and (one.kind == other.kind).all()
    assert (make_pairs(documents(30, 5), 40, seed=1).starts[:5] != one.starts[:5]).any()


def test_a_document_of_no_text_and_one_of_a_single_token():
    borders = [np.array([0]), np.array([0, 1]), np.array([1, 9, 12])]
    pairs = make_pairs(borders, 10, seed=0)
    assert set(pairs.document) == {1, 2}
    assert (pairs.kind[pairs.document == 1] == RANDOM).all(), "nothing can follow a single token"
