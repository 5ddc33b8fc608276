"""Masking: shares within sampling error, whole words, and no token that is not maskable."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from workbench.tasks.seq2seq_denoising import take_spans
from workbench.tasks.shared.masking import draw_tokens, draw_words, replace

MASK = 4


def test_tokens_are_sampled_uniformly_and_in_the_exact_number():
    torch.manual_seed(0)
    maskable = torch.ones(4000, 20, dtype=torch.bool)
    maskable[:, 0] = maskable[:, 15:] = False
    n_masked = torch.full((4000,), 3)
    masked = draw_tokens(maskable, n_masked)
    assert (masked.sum(dim=1) == 3).all() and not (masked & ~maskable).any()
    frequency = masked[:, 1:15].double().mean(dim=0)
    expected = 3 / 14
    assert (frequency - expected).abs().max() < 4 * (expected * (1 - expected) / 4000) ** 0.5


def test_masked_tokens_are_replaced_80_10_10():
    torch.manual_seed(0)
    ids = torch.full((200, 500), 7)
    masked = torch.rand(ids.shape) < 0.5
    shown = replace(ids, masked, MASK, torch.arange(5, 1005), 0.8, 0.1)
    assert (shown[~masked] == 7).all()
    inside = shown[masked]
    count = len(inside)
    others = inside[(inside != MASK) & (inside != 7)]
    for share, expected in (
        ((inside == MASK).double().mean(), 0.8),
        (len(others) / count, 0.1 * 999 / 1000),  # one in a thousand is the token itself
        ((inside == 7).double().mean(), 0.1 + 0.1 / 1000),
    ):
        assert abs(float(share) - expected) < 4 * (expected * (1 - expected) / count) ** 0.5
    assert others.min() >= 5 and len(others.unique()) > 950, "any ordinary token may be the replacement"


def test_whole_words_are_masked_up_to_the_number_of_tokens():
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    sizes = generator.integers(1, 4, size=(3000, 20))
    words = torch.full((3000, 64), -1)
    for row, each in enumerate(sizes):
        numbers = np.repeat(np.arange(20), each)
        words[row, 1 : 1 + len(numbers)] = torch.from_numpy(numbers)
    maskable = words != -1
    n_masked = (maskable.sum(dim=1) * 0.15).round().long()
    masked = draw_words(words, n_masked)
    assert not (masked & ~maskable).any()
    same = (words[:, 1:] == words[:, :-1]) & maskable[:, 1:]
    assert (masked[:, 1:] == masked[:, :-1])[same].all(), "a word is masked with all its subwords"
    share = masked.sum() / maskable.sum()
    assert abs(float(share) - float(n_masked.sum() / maskable.sum())) < 0.004
    assert (masked.sum(dim=1) - n_masked).abs().max() <= 2


def test_a_word_longer_than_the_number_of_tokens_is_still_masked():
    masked = draw_words(torch.tensor([[-1, 0, 0, 0, 0, 0, -1]]), torch.tensor([1]))
    assert masked[0].tolist() == [False, True, True, True, True, True, False]


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_spans_remove_the_share_and_leave_one_mask_each(share):
    generator = np.random.default_rng(0)
    n_left, n_spans, n_removed, n_adjacent = 0, 0, 0, 0
    for _ in range(2000):
        ids = np.concatenate([[2], np.arange(100, 150), [3]]).astype(np.int32)
        shown = take_spans(ids, ids >= 100, MASK, share, 3.0, generator)
        assert shown[0] == 2 and shown[-1] == 3
        text = shown[(shown >= 100)]
        assert (np.diff(text) > 0).all() and len(set(text)) == len(text), "the remaining tokens keep their order"
        assert 50 - len(text) == round(50 * share)
        n_left, n_spans, n_removed = (
            n_left + len(text),
            n_spans + int((shown == MASK).sum()),
            n_removed + 50 - len(text),
        )
        n_adjacent += int(((shown[1:] == MASK) & (shown[:-1] == MASK)).sum())
    # The last span is cut to fit, so the mean is slightly below 3 (empty spans count too).
    assert 2.4 < n_removed / n_spans < 3.0
    assert n_adjacent > 0


def test_a_text_too_short_for_a_span_is_unchanged():
    ids = np.array([2, 100, 3], dtype=np.int32)
    assert take_spans(ids, ids >= 100, MASK, 0.3, 3.0, np.random.default_rng(0)).tolist() == [2, 100, 3]
