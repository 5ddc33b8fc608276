"""Seeded splits and samples: stratified by label; groups and identical texts stay in one split.

The order in which examples are assigned comes from a hash of the seed and the example's position, so the same data and
seed give the same split on every machine and under every version of Python and NumPy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence

from workbench.data.examples import SplitName

_ALL = "\0"  # counts every example, in addition to the labels


def split_indices(
    count: int,
    shares: Mapping[SplitName, float],
    seed: int,
    labels: Sequence[Sequence[str]] | None = None,
    together: Sequence[Sequence[Hashable]] = (),
) -> dict[SplitName, list[int]]:
    """Assign examples to train and the held-out splits.

    Args:
        count: number of examples, N.
        shares: split -> share of all examples, for the held-out splits; train gets the rest.
        seed: another seed gives another split.
        labels: the labels of each example, [N]; each split gets its share of every label, as far as possible. The first
            example of a label always goes to train.
        together: any number of sequences of N keys (a film, a text); examples that share a key go to the same split.
            None stands for no key.

    Returns:
        split -> indices, ascending. Train is always included.
    """
    all_shares: dict[SplitName, float] = {"train": 1.0 - sum(shares.values())}
    all_shares |= {name: share for name, share in shares.items() if share > 0}
    units = _join_units(count, together)
    strata = [tuple(each) or ("",) for each in labels] if labels is not None else [("",)] * count
    counts = [_count_labels(strata, members) for members in units]
    order = sorted(range(len(units)), key=lambda u: (len(counts[u]) == 2, -len(units[u]), _hash(seed, units[u][0])))
    indices: dict[SplitName, list[int]] = {name: [] for name in all_shares}
    for unit, name in zip(order, _assign(order, counts, all_shares), strict=True):
        indices[name] += units[unit]
    return {name: sorted(members) for name, members in indices.items()}


def sample_indices(indices: Sequence[int], labels: Sequence[Sequence[str]] | None, size: int, seed: int) -> list[int]:
    """Sample at most ``size`` indices, stratified: every label at least once if there is room.

    Args:
        indices: what to sample from.
        labels: the labels of each of ``indices``, in the same order.
        size: how many to sample.
        seed: another seed gives another sample. A larger ``size`` with the same seed mostly adds to the smaller one.

    Returns:
        The sample, ascending.
    """
    if size >= len(indices):
        return sorted(indices)
    strata: dict[tuple[str, ...], list[int]] = {}
    for position, index in enumerate(indices):
        strata.setdefault(tuple(labels[position]) if labels else (), []).append(index)
    quotas = _quotas({key: len(members) for key, members in strata.items()}, size)
    sampled: list[int] = []
    for key, members in strata.items():
        members.sort(key=lambda index: _hash(seed, index, "sample"))
        sampled += members[: quotas[key]]
    return sorted(sampled)


def _hash(seed: int, index: int, salt: str = "split") -> bytes:
    return hashlib.sha256(f"{salt}:{seed}:{index}".encode()).digest()


def _join_units(count: int, together: Sequence[Sequence[Hashable]]) -> list[list[int]]:
    """Return groups of indices that share a key, directly or through others (union-find)."""
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for keys in together:
        first: dict[Hashable, int] = {}
        for i, key in enumerate(keys):
            if key is not None and (j := first.setdefault(key, i)) != i:
                a, b = root(j), root(i)
                parent[max(a, b)] = min(a, b)
    units: dict[int, list[int]] = {}
    for i in range(count):
        units.setdefault(root(i), []).append(i)
    return list(units.values())


def _count_labels(labels: Sequence[Sequence[str]], members: Sequence[int]) -> dict[str, int]:
    """Count the labels of a unit, and its examples under ``_ALL`` so that the sizes of the splits come out right."""
    counts: dict[str, int] = {_ALL: len(members)}
    for i in members:
        for label in labels[i]:
            counts[label] = counts.get(label, 0) + 1
    return counts


def _assign(
    order: Sequence[int], counts: Sequence[Mapping[str, int]], shares: Mapping[SplitName, float]
) -> list[SplitName]:
    """Return for each unit in ``order`` the split whose label shares it brings nearest to their targets."""
    totals: dict[str, int] = {}
    for unit in counts:
        for label, n in unit.items():
            totals[label] = totals.get(label, 0) + n
    current = {name: dict.fromkeys(totals, 0) for name in shares}
    targets = {name: {label: share * n for label, n in totals.items()} for name, share in shares.items()}
    assigned: list[SplitName] = []
    for u in order:
        unit = counts[u]
        best: SplitName = "train"
        least = float("inf")
        if all(current["train"][label] for label in unit):  # otherwise train has not seen one of these labels yet
            for name in shares:
                # By how much the squared distance from the targets would grow, relative to the targets.
                have, target, cost = current[name], targets[name], 0.0
                for label, n in unit.items():
                    cost += n * (2 * (have[label] - target[label]) + n) / target[label]
                if cost < least:
                    best, least = name, cost
        for label, n in unit.items():
            current[best][label] += n
        assigned.append(best)
    return assigned


def _quotas(counts: Mapping[tuple[str, ...], int], size: int) -> dict[tuple[str, ...], int]:
    """Divide ``size`` in proportion to ``counts`` (largest remainders), at least one each if there is room."""
    total = sum(counts.values())
    least = 1 if size >= len(counts) else 0
    exact = {key: size * n / total for key, n in counts.items()}
    quotas = {key: min(counts[key], max(least, int(share))) for key, share in exact.items()}
    by_need = sorted(counts, key=lambda key: (-(exact[key] - int(exact[key])), -counts[key], key))
    while (left := size - sum(quotas.values())) != 0:
        step = 1 if left > 0 else -1
        for key in by_need if left > 0 else reversed(by_need):
            if left and (quotas[key] < counts[key] if step > 0 else quotas[key] > least):
                quotas[key] += step
                left -= step
    return quotas
