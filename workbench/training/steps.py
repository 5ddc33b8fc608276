"""The steps of a run: how many there are, and which batches each of them takes.

The answer depends on the spec alone, so a resumed run asks again and goes on from its place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.spec import TrainingSpec
from workbench.training.position import Position

Indices = NDArray[np.int64]


class BatchPlan(Protocol):
    """Gives the batches of an epoch, the same ones whenever it is asked."""

    def epoch(self, number: int) -> Sequence[Indices]: ...

    def count(self, number: int) -> int:
        """How many batches ``epoch(number)`` has."""


@dataclass(frozen=True)
class Group:
    """The batches of one optimizer step, and where the run stands after it."""

    batches: Sequence[Indices]
    after: tuple[int, int]
    ends_epoch: bool
    epoch: float


@dataclass(frozen=True)
class Steps:
    """How many steps a run has, and which batches each of them takes."""

    plan: BatchPlan
    accumulate: int
    total: int

    @classmethod
    def of(cls, plan: BatchPlan, settings: TrainingSpec) -> Steps:
        """Count the steps: the number of batches may differ from epoch to epoch when a token budget cuts them."""
        steps, most = 0, settings.max_steps or math.inf
        for epoch in range(math.ceil(settings.epochs)):
            share = min(1.0, settings.epochs - epoch)
            steps += math.ceil(plan.count(epoch) * share / settings.accumulate)
            if steps >= most:
                break
        return cls(plan, settings.accumulate, max(1, int(min(steps, most))))

    def meets_examples_again(self) -> bool:
        """Whether the run has more steps than its first epoch."""
        return self.total > math.ceil(self.plan.count(0) / self.accumulate)

    def groups(self, start: Position) -> Iterator[Group]:
        """The steps from ``start`` on."""
        epoch, first, left = start.epoch, start.batch, self.total - start.step
        while left > 0:
            batches = self.plan.epoch(epoch)
            for begin in range(first, len(batches), self.accumulate):
                end = min(begin + self.accumulate, len(batches))
                ends = end == len(batches)
                after = (epoch + 1, 0) if ends else (epoch, end)
                yield Group(batches[begin:end], after, ends, epoch + end / len(batches))
                left -= 1
                if left == 0:
                    return
            epoch, first = epoch + 1, 0
