"""The steps of a run: how many there are, and which batches each of them takes.

The answer depends on the spec and the data alone, so a resumed run asks again and goes on from its place, and the
learning rate's way is known before the first step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.spec import TrainingSpec
from workbench.training.state import TrainState

Indices = NDArray[np.int64]


class BatchPlan(Protocol):
    """Gives the batches of an epoch, the same ones whenever it is asked."""

    def epoch(self, number: int) -> Sequence[Indices]: ...

    def count(self, number: int) -> int:
        """How many batches ``epoch(number)`` has."""


@dataclass(frozen=True)
class OptimizerStep:
    """The batches of one optimizer step, and where the run stands after it."""

    batches: Sequence[Indices]
    after: tuple[int, int]
    ends_epoch: bool
    epoch: float


@dataclass(frozen=True)
class StepSchedule:
    """How many steps a run has, and which batches each of them takes."""

    plan: BatchPlan
    gradient_accumulation: int
    total: int

    @classmethod
    def from_spec(
        cls, plan: BatchPlan, settings: TrainingSpec, tokens: Callable[[Indices], int] | None = None
    ) -> StepSchedule:
        """Count the steps up to whichever of ``epochs``, ``max_steps`` and ``max_tokens`` comes first.

        Args:
            plan: the batches of each epoch.
            settings: the spec's training part.
            tokens: tokens of text in a batch; needed when ``max_tokens`` is set.
        """
        steps, most = 0, settings.max_steps or math.inf
        for epoch in range(math.ceil(settings.epochs)):
            share = min(1.0, settings.epochs - epoch)
            # The number of batches may differ from epoch to epoch, when a token budget cuts them.
            steps += math.ceil(plan.count(epoch) * share / settings.gradient_accumulation)
            if steps >= most:
                break
        found = cls(plan, settings.gradient_accumulation, max(1, int(min(steps, most))))
        if settings.max_tokens is None or tokens is None:
            return found
        return replace(found, total=found._until(settings.max_tokens, tokens))

    def _until(self, most: int, tokens: Callable[[Indices], int]) -> int:
        """The step that makes the tokens of text seen ``most`` or more; the last one when there are fewer."""
        seen = 0
        for step, group in enumerate(self.optimizer_steps(TrainState()), start=1):
            seen += sum(map(tokens, group.batches))
            if seen >= most:
                return step
        return self.total

    def meets_examples_again(self) -> bool:
        """Whether the run has more steps than its first epoch."""
        return self.total > math.ceil(self.plan.count(0) / self.gradient_accumulation)

    def optimizer_steps(self, start: TrainState) -> Iterator[OptimizerStep]:
        """The steps from ``start`` on."""
        epoch, first, left = start.epoch, start.batch, self.total - start.step
        while left > 0:
            batches = self.plan.epoch(epoch)
            for begin in range(first, len(batches), self.gradient_accumulation):
                end = min(begin + self.gradient_accumulation, len(batches))
                ends = end == len(batches)
                after = (epoch + 1, 0) if ends else (epoch, end)
                yield OptimizerStep(batches[begin:end], after, ends, epoch + end / len(batches))
                left -= 1
                if left == 0:
                    return
            epoch, first = epoch + 1, 0
