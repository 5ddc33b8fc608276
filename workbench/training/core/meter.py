"""Loss and speed between two rows of metrics, measured without making the host wait for the device."""

from __future__ import annotations

import math
import time

import torch

from workbench.errors import NonFiniteLossError
from workbench.training.core.state import TrainState


class Meter:
    """Loss and speed since the last row of metrics. The loss stays on the device until it is read.

    Args:
        state: how far the run had trained when this process began.

    Attributes:
        tokens: tokens of text seen in the whole run.
    """

    def __init__(self, state: TrainState) -> None:
        self.tokens = state.tokens
        self._loss: torch.Tensor | None = None
        if state.unlogged_steps:  # the first row of a resumed run also covers the steps before the interruption
            self._loss = torch.tensor(state.unlogged_loss, dtype=torch.float32)
        self._logged_step = state.step - state.unlogged_steps
        self._logged_tokens = state.tokens
        self._seconds_before = state.seconds
        self._started = time.monotonic()
        self._logged_seconds = self.seconds()

    def seconds(self) -> float:
        """Return the training time, including that of earlier processes of the run."""
        return self._seconds_before + time.monotonic() - self._started

    def add(self, loss: torch.Tensor, tokens: int) -> None:
        """Count one batch without waiting for the device.

        Args:
            loss: the batch's loss, a scalar on its device.
            tokens: tokens of text in the batch.
        """
        self._loss = loss if self._loss is None else self._loss.to(loss.device) + loss
        self.tokens += tokens

    def read(self, norm: torch.Tensor, rate: float, step: int) -> dict[str, float]:
        """Return the metrics since the last call.

        Args:
            norm: the gradient norm of the last step, a scalar.
            rate: the learning rate of the last step.
            step: the last step.

        Raises:
            NonFiniteLossError: a loss was NaN or infinite.
        """
        self.check(step)
        assert self._loss is not None
        steps = max(1, step - self._logged_step)
        seconds = max(1e-9, self.seconds() - self._logged_seconds)
        row = {
            "train/loss": float(self._loss) / steps,
            "train/learning_rate": float(rate),
            "train/gradient_norm": float(norm),
            "train/tokens_per_second": (self.tokens - self._logged_tokens) / seconds,
        }
        self._loss, self._logged_step = None, step
        self._logged_tokens, self._logged_seconds = self.tokens, self.seconds()
        return row

    def write_to(self, state: TrainState) -> None:
        """Store the time and the unlogged loss in the state of a checkpoint.

        Args:
            state: changed in place.
        """
        state.seconds = self.seconds()
        state.unlogged_steps = state.step - self._logged_step
        state.unlogged_loss = 0.0 if self._loss is None else float(self._loss)

    def check(self, step: int, norm: torch.Tensor | None = None) -> None:
        """Raise an error if a loss since the last row, or the gradient norm, is not finite.

        A finite loss can have gradients that are not finite. They make the weights NaN, which only the next loss shows:
        too late for a checkpoint.

        Args:
            step: the last step, for the message.
            norm: the gradient norm of the last step, a scalar; None to check the loss only.

        Raises:
            NonFiniteLossError: a value is NaN or infinite.
        """
        for name, value in (("loss", self._loss), ("norm of the gradients", norm)):
            if value is None or math.isfinite(float(value)):
                continue
            raise NonFiniteLossError(
                f"The {name} became {float(value)} at or shortly before step {step}.",
                "Try a smaller training.learning_rate, a longer training.warmup_ratio, training.max_grad_norm: 1.0, or "
                "training.precision: fp32; then look for damaged examples.",
            )
