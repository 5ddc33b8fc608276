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
from workbench.training.checkpoint import Position

Indices = NDArray[np.int64]


class BatchPlan(Protocol):
    """Gives the batches of an epoch, the same ones whenever it is asked."""

    def epoch(self, number: int) -> Sequence[Indices]: ...


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
    epochs: float
    total: int

    @classmethod
    def of(cls, plan: BatchPlan, settings: TrainingSpec) -> Steps:
        """Count the steps: the number of batches may differ from epoch to epoch when a token budget cuts them."""
        whole, part = int(settings.epochs), settings.epochs % 1
        steps = sum(math.ceil(len(plan.epoch(e)) / settings.accumulate) for e in range(whole))
        if part:
            steps += math.ceil(len(plan.epoch(whole)) * part / settings.accumulate)
        return cls(plan, settings.accumulate, settings.epochs, max(1, min(steps, settings.max_steps or steps)))

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
