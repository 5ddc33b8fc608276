"""Who is held out: seeded, stratified by label, groups and identical texts on one side.

The order in which examples are dealt out comes from a hash of the seed and the example's position, so the same data and
seed give the same split on every machine and under every version of Python and NumPy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence

_ALL = "\0"  # counts every example, beside the labels


def split(
    count: int,
    shares: Mapping[str, float],
    seed: int,
    labels: Sequence[Sequence[str]] | None = None,
    together: Sequence[Sequence[Hashable]] = (),
) -> dict[str, list[int]]:
    """Deal examples out to train and the held-out parts.

    Args:
        count: number of examples.
        shares: part -> share of all examples, for the parts held out; train gets the rest.
        seed: another seed gives another split.
        labels: each example's labels; each part gets its share of every label, as far as that is possible. The first
            example of a label always goes to train.
        together: any number of keys an example (a film, a text); examples that share one go to the same part. None
            stands for no key.

    Returns:
        part -> positions, ascending. Train is always there.
    """
    parts = {"train": 1.0 - sum(shares.values()), **{part: share for part, share in shares.items() if share > 0}}
    units = _units(count, together)
    of = [tuple(each) or ("",) for each in labels] if labels is not None else [("",)] * count
    weights = [_count(of, members) for members in units]
    order = sorted(range(len(units)), key=lambda u: (len(weights[u]) == 2, -len(units[u]), _hash(seed, units[u][0])))
    placed = _deal(order, weights, parts)
    dealt: dict[str, list[int]] = {part: [] for part in parts}
    for unit, part in zip(order, placed, strict=True):
        dealt[part] += units[unit]
    return {part: sorted(positions) for part, positions in dealt.items()}


def sample(indices: Sequence[int], labels: Sequence[Sequence[str]] | None, size: int, seed: int) -> list[int]:
    """A stratified subset of at most ``size`` positions, ascending; every label at least once where there is room.

    Args:
        indices: positions to choose from.
        labels: the labels of each of ``indices``, in the same order.
        size: how many to choose.
        seed: another seed gives another subset. A larger ``size`` with the same seed mostly adds to the smaller one.
    """
    if size >= len(indices):
        return sorted(indices)
    strata: dict[tuple[str, ...], list[int]] = {}
    for position, index in enumerate(indices):
        strata.setdefault(tuple(labels[position]) if labels else (), []).append(index)
    quotas = _quotas({key: len(members) for key, members in strata.items()}, size)
    chosen: list[int] = []
    for key, members in strata.items():
        members.sort(key=lambda index: _hash(seed, index, "sample"))
        chosen += members[: quotas[key]]
    return sorted(chosen)


def _hash(seed: int, position: int, salt: str = "split") -> bytes:
    return hashlib.sha256(f"{salt}:{seed}:{position}".encode()).digest()


def _units(count: int, together: Sequence[Sequence[Hashable]]) -> list[list[int]]:
    """Positions that must not be separated: those that share a key, and those that share one with one of these."""
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


def _count(labels: Sequence[Sequence[str]], members: Sequence[int]) -> dict[str, int]:
    """How often each label stands in a unit, and its size, so that the parts' sizes come out right as well."""
    found: dict[str, int] = {_ALL: len(members)}
    for i in members:
        for label in labels[i]:
            found[label] = found.get(label, 0) + 1
    return found


def _deal(order: Sequence[int], weights: Sequence[Mapping[str, int]], parts: Mapping[str, float]) -> list[str]:
    """For each unit in ``order`` the part that it takes nearest to its share of each of the unit's labels."""
    totals: dict[str, int] = {}
    for weight in weights:
        for label, n in weight.items():
            totals[label] = totals.get(label, 0) + n
    have = {part: dict.fromkeys(totals, 0) for part in parts}
    want = {part: {label: share * n for label, n in totals.items()} for part, share in parts.items()}
    placed: list[str] = []
    for u in order:
        unit = weights[u]
        chosen, least = "train", float("inf")
        if all(have["train"][label] for label in unit):  # else train has yet to see one of these labels
            for part in parts:
                # By how much the squared distance from the shares would grow, relative to the shares.
                has, target, cost = have[part], want[part], 0.0
                for label, n in unit.items():
                    cost += n * (2 * (has[label] - target[label]) + n) / target[label]
                if cost < least:
                    chosen, least = part, cost
        for label, n in unit.items():
            have[chosen][label] += n
        placed.append(chosen)
    return placed


def _quotas(counts: Mapping[tuple[str, ...], int], size: int) -> dict[tuple[str, ...], int]:
    """``size`` shared out in proportion to ``counts`` (largest remainders), at least one each if there is room."""
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
