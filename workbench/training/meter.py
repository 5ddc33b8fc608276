"""Loss and speed between two lines of metrics, without making the device wait."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import torch

from workbench.errors import NonFiniteLossError
from workbench.training.state import TrainState


@dataclass
class Meter:
    """Loss and speed since the last line of metrics. The loss stays on the device until it is read."""

    position: TrainState
    tokens: int = field(init=False)
    _loss: torch.Tensor | None = None
    _steps_read: int = field(init=False)
    _tokens_read: int = field(init=False)
    _started: float = field(init=False)
    _before: float = field(init=False)
    _time_read: float = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = self._tokens_read = self.position.tokens
        self._steps_read = self.position.step - self.position.unread_steps
        if self.position.unread_steps:  # a resumed run's first line covers what the interrupted one would have told
            self._loss = torch.tensor(self.position.unread_loss, dtype=torch.float32)
        self._before = self.position.seconds
        self._started = time.monotonic()
        self._time_read = self.seconds()

    def seconds(self) -> float:
        """Time spent training, earlier processes of the run counted in."""
        return self._before + time.monotonic() - self._started

    def add(self, loss: torch.Tensor, tokens: int) -> None:
        """Count one batch; nothing waits for the device."""
        self._loss = loss if self._loss is None else self._loss.to(loss.device) + loss
        self.tokens += tokens

    def read(self, norm: torch.Tensor, rate: float | torch.Tensor, step: int) -> dict[str, float]:
        """The figures since the last call. Raises NonFiniteLossError."""
        self.check(step)
        assert self._loss is not None
        steps = max(1, step - self._steps_read)
        row = {
            "train/loss": float(self._loss) / steps,
            "train/learning_rate": float(rate),
            "train/gradient_norm": float(norm),
            "train/tokens_per_second": (self.tokens - self._tokens_read) / max(1e-9, self.seconds() - self._time_read),
        }
        self._loss, self._steps_read, self._tokens_read, self._time_read = None, step, self.tokens, self.seconds()
        return row

    def note(self, position: TrainState) -> None:
        """Write into ``position`` what a checkpoint needs of this meter: time, and the loss not yet told of."""
        position.seconds = self.seconds()
        position.unread_steps = position.step - self._steps_read
        position.unread_loss = 0.0 if self._loss is None else float(self._loss)

    def check(self, step: int, norm: torch.Tensor | None = None) -> None:
        """Raise NonFiniteLossError when a loss since the last reading, or the gradients' ``norm``, is not finite.

        A finite loss can have gradients that are not, and they spoil the weights: told of by the next loss only, which
        is too late for a checkpoint.
        """
        for what, value in (("loss", self._loss), ("norm of the gradients", norm)):
            if value is None or math.isfinite(float(value)):
                continue
            raise NonFiniteLossError(
                f"The {what} became {float(value)} at or shortly before step {step}.",
                "Try a smaller training.learning_rate, a longer training.warmup_ratio, training.max_grad_norm: 1.0, or "
                "training.precision: fp32; then look for damaged examples.",
            )
