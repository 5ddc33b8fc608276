"""The steps of a run: how many there are, and which batches each step takes.

Both depend on the spec and the data alone. A resumed run computes them again and continues where it stopped, and the
learning rate schedule is known before the first step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from workbench.spec import TrainingSpec
from workbench.training.core.state import TrainState
from workbench.types import Ints

MIN_EPOCHS, MAX_EPOCHS = 3, 20  # of a run whose spec sets none


class BatchPlan(Protocol):
    """The batches of each epoch; the same ones at each call."""

    def epoch(self, number: int) -> Sequence[Ints]:
        """Return the batches of an epoch, each as the indices of its examples.

        Args:
            number: the epoch, from 0.
        """

    def count(self, number: int) -> int:
        """Return the number of batches in an epoch.

        Args:
            number: the epoch, from 0.
        """


def default_epochs(steps_per_epoch: int, min_steps: int) -> int:
    """Return the epochs of a run whose spec sets none: 3, or up to 20 until ``min_steps`` are reached.

    Args:
        steps_per_epoch: optimizer steps in one epoch.
        min_steps: what the task needs, see :meth:`workbench.tasks.base.Task.min_steps`.
    """
    return min(MAX_EPOCHS, max(MIN_EPOCHS, math.ceil(min_steps / max(1, steps_per_epoch))))


@dataclass(frozen=True)
class OptimizerStep:
    """The batches of one optimizer step.

    Attributes:
        batches: the indices of the examples of each batch, int64 [B] each.
        after: epoch and index of the batch that follows this step.
        ends_epoch: whether the step takes the last batch of its epoch.
        epoch: epochs done after this step, with its fraction.
    """

    batches: Sequence[Ints]
    after: tuple[int, int]
    ends_epoch: bool
    epoch: float


@dataclass(frozen=True)
class StepSchedule:
    """The optimizer steps of a run.

    Attributes:
        plan: the batches of each epoch.
        gradient_accumulation: batches per step.
        total: number of steps.
    """

    plan: BatchPlan
    gradient_accumulation: int
    total: int

    @classmethod
    def from_spec(
        cls,
        plan: BatchPlan,
        settings: TrainingSpec,
        tokens: Callable[[Ints], int] | None = None,
        min_steps: int = 0,
    ) -> StepSchedule:
        """Count the steps up to the first of the limits ``epochs``, ``max_steps`` and ``max_tokens``.

        Args:
            plan: the batches of each epoch.
            settings: the ``training`` section of a spec.
            tokens: counts the tokens of text in a batch; needed when ``max_tokens`` is set.
            min_steps: steps to reach if the spec sets no epochs, see :func:`default_epochs`.
        """
        epochs = settings.epochs
        if epochs is None:
            epochs = default_epochs(math.ceil(plan.count(0) / settings.gradient_accumulation), min_steps)
        steps, max_steps = 0, settings.max_steps or math.inf
        for epoch in range(math.ceil(epochs)):
            share = min(1.0, epochs - epoch)
            # Epochs may differ in their number of batches when max_tokens_per_batch is set.
            steps += math.ceil(plan.count(epoch) * share / settings.gradient_accumulation)
            if steps >= max_steps:
                break
        schedule = cls(plan, settings.gradient_accumulation, max(1, int(min(steps, max_steps))))
        if settings.max_tokens is None or tokens is None:
            return schedule
        return replace(schedule, total=schedule._step_at_tokens(settings.max_tokens, tokens))

    def _step_at_tokens(self, max_tokens: int, tokens: Callable[[Ints], int]) -> int:
        """Return the step after which ``max_tokens`` have been seen, or the last step."""
        seen = 0
        for number, step in enumerate(self.optimizer_steps(TrainState()), start=1):
            seen += sum(map(tokens, step.batches))
            if seen >= max_tokens:
                return number
        return self.total

    def repeats_examples(self) -> bool:
        """Return whether the run is longer than its first epoch."""
        return self.total > math.ceil(self.plan.count(0) / self.gradient_accumulation)

    def optimizer_steps(self, start: TrainState) -> Iterator[OptimizerStep]:
        """Yield the remaining steps of a run.

        Args:
            start: how far the run has trained.
        """
        epoch, first, left = start.epoch, start.batch, self.total - start.step
        while left > 0:
            batches = self.plan.epoch(epoch)
            for begin in range(first, len(batches), self.gradient_accumulation):
                end = min(begin + self.gradient_accumulation, len(batches))
                ends_epoch = end == len(batches)
                after = (epoch + 1, 0) if ends_epoch else (epoch, end)
                yield OptimizerStep(batches[begin:end], after, ends_epoch, epoch + end / len(batches))
                left -= 1
                if left == 0:
                    return
            epoch, first = epoch + 1, 0
