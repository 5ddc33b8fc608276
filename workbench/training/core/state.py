"""The state of a training run between two steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Fields of checkpoints that version 1 wrote.
_RENAMED = {
    "best_value": "best_metric",
    "worse": "evals_since_improvement",
    "unread_loss": "unlogged_loss",
    "unread_steps": "unlogged_steps",
}


@dataclass
class TrainState:
    """How far a run has trained. Together with the seed, it determines everything that follows.

    Attributes:
        step: optimizer steps done.
        epoch: epoch of the next batch, from 0.
        batch: index of the next batch in its epoch.
        tokens: tokens of text seen, without padding.
        seconds: training time, summed over all processes of the run.
        best_step: step of the best evaluation so far; None before the first evaluation.
        best_metric: value of the primary metric at ``best_step``.
        evals_since_improvement: evaluations after ``best_step``.
        unlogged_loss: sum of the losses of the steps since the last logged row.
        unlogged_steps: number of those steps.
        loss_scale: state of the gradient scaler in half precision; None in other precisions.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best_step: int | None = None
    best_metric: float | None = None
    evals_since_improvement: int = 0
    unlogged_loss: float = 0.0
    unlogged_steps: int = 0
    loss_scale: dict[str, float] | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> TrainState:
        """Return the state that a checkpoint stores.

        Args:
            document: the fields, by their current names or those of version 1.
        """
        return cls(**{_RENAMED.get(name, name): value for name, value in document.items()})

    def needed_checkpoints(self) -> set[int]:
        """Return the steps whose checkpoints are still needed: the last one, and the best one so far."""
        return {self.step} if self.best_step is None else {self.step, self.best_step}
