"""Splits preserve shares and labels, keep groups and equal texts together, and are reproducible."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data.splitting.stratify import sample_indices, split_indices


def single_labels(labels: list[str]) -> list[tuple[str, ...]]:
    return [(label,) for label in labels]


def test_shares_and_labels() -> None:
    labels = ["a"] * 700 + ["b"] * 200 + ["c"] * 100
    splits = split_indices(1000, {"test": 0.2, "valid": 0.1}, 0, single_labels(labels))
    assert {split: Counter(labels[i] for i in chosen) for split, chosen in splits.items()} == {
        "train": {"a": 490, "b": 140, "c": 70},
        "test": {"a": 140, "b": 40, "c": 20},
        "valid": {"a": 70, "b": 20, "c": 10},
    }


def test_the_split_is_the_same_on_every_machine() -> None:
    """Pinned: if another version of Python or NumPy changed the split, runs could not be compared."""
    labels = single_labels(list("aabbabbaabbaabba"))
    splits = split_indices(16, {"test": 0.25}, 7, labels)
    assert splits["test"] == [6, 8, 12, 13] and sorted(splits["train"] + splits["test"]) == list(range(16))
    code = "from workbench.data.splitting.stratify import split_indices; "
    code += "print(split_indices(50, {'test': 0.3}, 1, [(str(i % 3),) for i in range(50)]))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(outputs) == 1


def test_the_split_depends_on_the_seed() -> None:
    first, second = (split_indices(200, {"test": 0.2}, seed, single_labels(["a", "b"] * 100)) for seed in (0, 1))
    assert first != second


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 8), st.integers(0, 30)), min_size=1, max_size=80
    ),
    seed=st.integers(0, 1000),
    shares=st.sampled_from([{"test": 0.2, "valid": 0.1}, {"test": 0.5}, {"valid": 0.4, "test": 0.5}]),
)
def test_every_example_is_in_exactly_one_split(rows, seed, shares) -> None:
    labels = single_labels([label for label, _, _ in rows])
    groups = [group for _, group, _ in rows]
    texts = [text for _, _, text in rows]
    splits = split_indices(len(rows), shares, seed, labels, [texts, groups])
    assert sorted(i for chosen in splits.values() for i in chosen) == list(range(len(rows)))
    for keys in (texts, groups):
        keys_by_split = [{keys[i] for i in chosen} - {None} for chosen in splits.values()]
        assert sum(map(len, keys_by_split)) == len(set().union(*keys_by_split)), "a key is in two splits"
    train_labels = {label for i in splits["train"] for label in labels[i]}
    assert train_labels == {label for each in labels for label in each}, "a label that train lacks"


def test_groups_keep_shares_and_labels_approximately() -> None:
    groups = [i // 10 for i in range(3000)]  # 300 groups of 10, each mostly of one label
    labels = single_labels(["a" if (i // 10) % 3 else "b" for i in range(3000)])
    splits = split_indices(3000, {"test": 0.2, "valid": 0.1}, 3, labels, [groups])
    for split, share in (("train", 0.7), ("test", 0.2), ("valid", 0.1)):
        counts = Counter(labels[i][0] for i in splits[split])
        assert abs(counts["a"] - share * 2000) <= 10 and abs(counts["b"] - share * 1000) <= 10


def test_several_labels_are_stratified_one_by_one() -> None:
    labels = [("x", "y") if i % 2 else ("x",) if i % 4 else ("z",) for i in range(400)]
    splits = split_indices(400, {"test": 0.25}, 0, labels)
    counts = Counter(label for i in splits["test"] for label in labels[i])
    assert abs(counts["x"] - 75) <= 1 and abs(counts["y"] - 50) <= 1 and abs(counts["z"] - 25) <= 1


def test_without_labels() -> None:
    splits = split_indices(100, {"test": 0.3}, 0)
    assert len(splits["test"]) == 30 and len(splits["train"]) == 70
    assert splits["test"] != list(range(30)) and splits["test"] != list(range(70, 100))


@settings(max_examples=200, deadline=None)
@given(
    labels=st.lists(st.sampled_from("abcd"), min_size=1, max_size=60), size=st.integers(1, 70), seed=st.integers(0, 9)
)
def test_a_sample_has_the_right_size_and_as_many_labels_as_possible(labels, size, seed) -> None:
    chosen = sample_indices(range(len(labels)), single_labels(labels), size, seed)
    assert len(chosen) == len(set(chosen)) == min(size, len(labels)) and chosen == sorted(chosen)
    if size >= len(set(labels)):
        assert {labels[i] for i in chosen} == set(labels)


def test_a_sample_is_stratified() -> None:
    labels = ["a"] * 900 + ["b"] * 90 + ["c"] * 10
    assert Counter(labels[i] for i in sample_indices(range(1000), single_labels(labels), 100, 0)) == {
        "a": 90,
        "b": 9,
        "c": 1,
    }
