"""Batches as a pure function of lengths, seed and epoch.

Nothing is remembered between batches, so a run resumed in the middle of an epoch gets the same batches.

Texts of similar length share a batch ("length buckets"): on short texts this saves half to three quarters of all
arithmetic, which would be spent on padding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.types import Ints

POOL = 50  # batches sorted together: enough to pad little, few enough to keep batches mixed


@dataclass(frozen=True)
class Batches:
    """The batches of every epoch.

    Args:
        lengths: tokens of each example, [N].
        batch_size: examples in a batch; used without ``max_tokens_per_batch``.
        max_tokens_per_batch: most tokens in a batch, padding included.
        group_by_length: put examples of similar length together.
        seed: seed of the shuffling.
    """

    lengths: Ints
    batch_size: int = 32
    max_tokens_per_batch: int | None = None
    group_by_length: bool = True
    seed: int = 0

    def epoch(self, number: int) -> list[Ints]:
        """Return the batches of an epoch: every example once, in an order that depends on the epoch.

        Args:
            number: the epoch, from 0.

        Returns:
            The indices of the examples in each batch.
        """
        generator = np.random.Generator(np.random.PCG64([self.seed, number]))
        order = generator.permutation(len(self.lengths))
        if self.group_by_length:
            pool = POOL * self._mean_batch_size()
            order = np.concatenate([self._sort(order[i : i + pool]) for i in range(0, len(order), pool)])
        batches = self._split(order)
        return [batches[i] for i in generator.permutation(len(batches))] if self.group_by_length else batches

    def count(self, number: int) -> int:
        """Return the number of batches of an epoch; it differs between epochs only with ``max_tokens_per_batch``.

        Args:
            number: the epoch, from 0.
        """
        if self.max_tokens_per_batch is None:
            return -(-len(self.lengths) // self.batch_size)
        return len(self.epoch(number))

    def in_order(self) -> list[Ints]:
        """Return every example once, longest first, for evaluation: a batch that does not fit fails at once."""
        return self._split(np.argsort(-self.lengths, kind="stable"))

    def padded_tokens(self, batches: list[Ints]) -> int:
        """Return the number of tokens to compute, padding included.

        Args:
            batches: the indices of the examples in each batch.
        """
        return int(sum(self.lengths[b].max() * len(b) for b in batches))

    def _mean_batch_size(self) -> int:
        if self.max_tokens_per_batch is None:
            return self.batch_size
        return max(1, round(self.max_tokens_per_batch / max(1.0, float(self.lengths.mean()))))

    def _sort(self, indices: Ints) -> Ints:
        return indices[np.argsort(self.lengths[indices], kind="stable")]

    def _split(self, order: Ints) -> list[Ints]:
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
