"""Which examples go into which batch: a pure function of lengths, seed and epoch.

Nothing is remembered between batches, so a run that is resumed in the middle of an epoch meets the very same batches.

Texts of like length go into one batch ("length buckets"): on short texts this saves half to three quarters of all
arithmetic, which would be spent on padding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

POOL = 50  # batches sorted together: enough to pad little, few enough that batches stay mixed


@dataclass(frozen=True)
class Batches:
    """The batches of every epoch.

    Args:
        lengths: tokens of each example, [N].
        batch_size: examples in a batch; used when there is no ``max_tokens_per_batch``.
        max_tokens_per_batch: most tokens in a batch, padding included.
        group_by_length: put examples of like length together.
        seed: of the shuffling.
    """

    lengths: NDArray[np.int64]
    batch_size: int = 32
    max_tokens_per_batch: int | None = None
    group_by_length: bool = True
    seed: int = 0

    def epoch(self, number: int) -> list[Indices]:
        """The batches of epoch ``number`` (from 0): every example once, in an order that depends on it."""
        generator = np.random.Generator(np.random.PCG64([self.seed, number]))
        order = generator.permutation(len(self.lengths))
        if self.group_by_length:
            pool = POOL * self._examples_in_a_batch()
            order = np.concatenate([self._sorted(order[i : i + pool]) for i in range(0, len(order), pool)])
        batches = self._cut(order)
        return [batches[i] for i in generator.permutation(len(batches))] if self.group_by_length else batches

    def count(self, number: int) -> int:
        """How many batches ``epoch(number)`` has; only a token budget makes that differ between epochs."""
        if self.max_tokens_per_batch is None:
            return -(-len(self.lengths) // self.batch_size)
        return len(self.epoch(number))

    def in_order(self) -> list[Indices]:
        """Every example once, longest first, for evaluation: what does not fit fails at once, not at the end."""
        return self._cut(np.argsort(-self.lengths, kind="stable"))

    def padded_tokens(self, batches: list[Indices]) -> int:
        """Tokens that are computed for ``batches``, padding included."""
        return int(sum(self.lengths[b].max() * len(b) for b in batches))

    def _examples_in_a_batch(self) -> int:
        if self.max_tokens_per_batch is None:
            return self.batch_size
        return max(1, round(self.max_tokens_per_batch / max(1.0, float(self.lengths.mean()))))

    def _sorted(self, indices: Indices) -> Indices:
        return indices[np.argsort(self.lengths[indices], kind="stable")]

    def _cut(self, order: Indices) -> list[Indices]:
        if self.max_tokens_per_batch is None:
            return [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        batches, start, longest = [], 0, 0
        for end in range(len(order)):
            longest = max(longest, int(self.lengths[order[end]]))
            if end > start and longest * (end - start + 1) > self.max_tokens_per_batch:
                batches.append(order[start:end])
                start, longest = end, int(self.lengths[order[end]])
        if start < len(order):
            batches.append(order[start:])
        return batches
