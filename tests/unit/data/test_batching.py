"""Batches: every example once, reproducible order, and little padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.data.text.batching import Batches

LENGTHS = np.random.default_rng(0).integers(3, 120, size=1000)


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=200),
    st.integers(1, 40),
    st.one_of(st.none(), st.integers(16, 400)),
    st.booleans(),
    st.integers(0, 5),
)
def test_every_example_is_in_exactly_one_batch(lengths, batch_size, budget, group_by_length, epoch):
    batches = Batches(np.array(lengths), batch_size, budget, group_by_length, seed=3)
    for batch_list in (batches.epoch(epoch), batches.in_order()):
        assert sorted(np.concatenate(batch_list).tolist()) == list(range(len(lengths)))
        assert all(len(b) > 0 for b in batch_list)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=200), st.integers(50, 400))
def test_no_batch_is_above_the_token_budget(lengths, budget):
    sizes = np.array(lengths)
    for batch in Batches(sizes, max_tokens_per_batch=budget).epoch(0):
        assert sizes[batch].max() * len(batch) <= budget


def test_a_text_longer_than_the_budget_gets_its_own_batch():
    batches = Batches(np.array([5, 100, 5]), max_tokens_per_batch=20).in_order()
    assert [b.tolist() for b in batches] == [[1], [0, 2]]


def test_batches_depend_on_epoch_and_seed():
    batches = Batches(LENGTHS, 32, seed=1)
    again = Batches(LENGTHS, 32, seed=1)
    assert all((a == b).all() for a, b in zip(batches.epoch(4), again.epoch(4), strict=True))
    assert any((a != b).any() for a, b in zip(batches.epoch(4), batches.epoch(5), strict=True))
    assert any((a != b).any() for a, b in zip(batches.epoch(4), Batches(LENGTHS, 32, seed=2).epoch(4), strict=True))


def test_grouping_by_length_pads_little_and_still_shuffles_batches():
    plain, bucketed = Batches(LENGTHS, 32, group_by_length=False), Batches(LENGTHS, 32)
    n_tokens = LENGTHS.sum()
    assert plain.padded_tokens(plain.epoch(0)) > 1.7 * n_tokens
    assert bucketed.padded_tokens(bucketed.epoch(0)) < 1.1 * n_tokens
    means = [LENGTHS[b].mean() for b in bucketed.epoch(0)]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.5  # short and long batches alternate


@pytest.mark.parametrize("group_by_length", [True, False])
def test_only_the_last_batch_may_be_short(group_by_length):
    sizes = sorted(len(b) for b in Batches(LENGTHS[:100], 32, group_by_length=group_by_length).epoch(0))
    assert sizes == [4, 32, 32, 32]
