"""Where a run is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class TrainState:
    """Where a run is. With the seed, it decides everything that comes after.

    Attributes:
        step: optimizer steps done.
        epoch: epoch of the next batch, from 0.
        batch: place of the next batch in its epoch.
        tokens: tokens of text seen, padding left out.
        seconds: time spent training, over all processes that did.
        best_step: the step of the best evaluation so far; None before the first.
        best_value: its value.
        worse: evaluations since then.
        unread_loss: sum of the losses of steps that no line of metrics has told of yet.
        unread_steps: how many steps those are.
        loss_scale: state of the scaler that half precision multiplies the loss by; None in other precisions.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best_step: int | None = None
    best_value: float | None = None
    worse: int = 0
    unread_loss: float = 0.0
    unread_steps: int = 0
    loss_scale: dict[str, float] | None = None
