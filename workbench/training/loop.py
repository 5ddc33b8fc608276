"""The training loop. Notebooks teach it, the dashboard launches it, and a test compares it with transformers' Trainer.

    for each optimizer step:
        for each batch of the step:
            loss = model(batch)            # forward
            loss.backward()                # gradients add up
        clip the gradients
        optimizer.step(); schedule.step()  # update the weights
        when due: log, evaluate, save a checkpoint

A run that is killed and resumed ends with the same weights, bit for bit. Two rules make that possible: the batches are
a function of seed and epoch (:mod:`workbench.data.text.batching`), and the random generator is seeded before each batch
from the position in the run. Losses stay on the device until a row of metrics is due, so that a GPU never waits for the
host.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
import torch
from torch import nn

from workbench.notes import NO_IMPROVEMENT, OUT_OF_TIME
from workbench.spec import TrainingSpec
from workbench.training.core import checkpoint
from workbench.training.core.forward import Batch, Forward, default_forward
from workbench.training.core.meter import Meter
from workbench.training.core.optim import LRMultiplier, gradient_norm, make_optimizer, make_schedule
from workbench.training.core.state import TrainState
from workbench.training.core.steps import BatchPlan, OptimizerStep, StepSchedule
from workbench.types import Ints

if TYPE_CHECKING:
    from accelerate import Accelerator
    from accelerate.optimizer import AcceleratedOptimizer
    from torch.optim.lr_scheduler import LambdaLR

MetricsRow: TypeAlias = dict[str, Any]  # a line of metrics.jsonl
Ending = Literal["finished", "time", "early", "stopped"]


class TrainerCallback(Protocol):
    """Receives the events of the loop, and can ask it to stop."""

    def log(self, row: MetricsRow) -> None:
        """Receive a row of metrics.

        Args:
            row: a line of ``metrics.jsonl``.
        """

    def progress(self, state: TrainState, steps: int, epoch: float) -> None:
        """Receive the state after a step. Called at every step, so it must be fast.

        Args:
            state: after the step.
            steps: number of steps of the run.
            epoch: epochs done, with the fraction.
        """

    def save(self, state: TrainState, save: Callable[[], Path]) -> None:
        """Save a checkpoint.

        Args:
            state: state of the checkpoint.
            save: writes the checkpoint.
        """

    def stop_requested(self) -> bool:
        """Return whether the run should stop after this step."""


@dataclass
class TrainingInputs:
    """What the loop trains on.

    Attributes:
        plan: the batches of each epoch.
        batch: builds the batch of some indices, on the device.
        loss_weight: number of targets in a batch; computed on the host.
        tokens: number of tokens in a batch, without padding; computed on the host.
        evaluate: computes the validation metrics by name; None without a validation split.
        better: whether the first value of the primary metric is better than the second.
        primary_metric: name of the metric in the result of ``evaluate``.
        set_training: puts the model into training mode.
        lr_multiplier: factor on the peak learning rate at a step, given the number of steps; None for the spec's
            schedule.
        lr_multipliers: factors on the learning rate by weight name, see
            :func:`workbench.training.core.optim.parameter_groups`.
        no_decay: parts of the names of weights without weight decay.
        before_step: called with the step (from 1), the number of steps, and a function that returns the scale of the
            gradients (calling it makes the host wait for the GPU), before the gradients are clipped.
        after_step: called with the step (from 1) and the number of steps, after the weights are updated.
        forward: computes the model's output, with its loss, for a batch.
        min_steps: steps to reach if the spec sets no epochs.
        agree: returns the training time in seconds that all processes of the run use; its argument is this process's.
    """

    plan: BatchPlan
    batch: Callable[[Ints], Batch]
    loss_weight: Callable[[Ints], int]
    tokens: Callable[[Ints], int]
    evaluate: Callable[[], dict[str, float]] | None = None
    better: Callable[[float, float], bool] = lambda new, old: new > old
    primary_metric: str = "eval/accuracy"
    set_training: Callable[[], None] = lambda: None
    lr_multiplier: LRMultiplier | None = None
    lr_multipliers: Mapping[str, float] = field(default_factory=dict)
    no_decay: Collection[str] = ()
    before_step: Callable[[int, int, Callable[[], float]], None] = lambda step, steps, scale: None
    after_step: Callable[[int, int], None] = lambda step, steps: None
    forward: Forward = default_forward
    min_steps: int = 0
    agree: Callable[[float], float] = lambda seconds: seconds


@dataclass
class TrainResult:
    """How training ended.

    Attributes:
        state: the state after the last step.
        steps: number of steps of the whole run.
        ending: why training ended.
    """

    state: TrainState
    steps: int
    ending: Ending

    @property
    def note(self) -> str | None:
        """A sentence for the report if training ended before its last step; None otherwise."""
        template = {"time": OUT_OF_TIME, "early": NO_IMPROVEMENT}.get(self.ending)
        return template and template.format(step=self.state.step, steps=self.steps)


def train(
    model: nn.Module,
    inputs: TrainingInputs,
    settings: TrainingSpec,
    learning_rate: float,
    accelerator: Accelerator,
    callback: TrainerCallback,
    checkpoints: Path,
    resume: bool = False,
) -> TrainResult:
    """Train a model in place, on one device.

    Args:
        model: on its device; weights with ``requires_grad`` are trained.
        inputs: batches and evaluation.
        settings: the ``training`` section of a spec.
        learning_rate: the peak learning rate.
        accelerator: holds the device and the precision.
        callback: receives every event.
        checkpoints: folder of the checkpoints.
        resume: continue from the newest complete checkpoint, if there is one.

    Raises:
        NonFiniteLossError: the loss or the gradient norm is NaN or infinite.
        StorageError: a checkpoint or a row of metrics could not be written.
    """
    steps = StepSchedule.from_spec(inputs.plan, settings, inputs.tokens, inputs.min_steps)
    optimizer = make_optimizer(model, settings, learning_rate, inputs.lr_multipliers, inputs.no_decay)
    scheduler = make_schedule(optimizer, settings, steps.total, inputs.lr_multiplier)
    state = TrainState()
    latest = checkpoint.latest(checkpoints) if resume else None
    if latest is not None:
        state = checkpoint.load(latest, model, optimizer, scheduler)
    trainable = [p for p in model.parameters() if p.requires_grad]
    wrapped, prepared = accelerator.prepare(model, optimizer)
    if accelerator.scaler and state.loss_scale:
        accelerator.scaler.load_state_dict(state.loss_scale)
    meter = Meter(state)
    inputs.set_training()

    def save(more_steps: bool) -> None:
        moments = optimizer if more_steps or settings.keep_checkpoints else None
        meter.write_to(state)
        state.loss_scale = accelerator.scaler.state_dict() if accelerator.scaler else None
        callback.save(state, lambda: checkpoint.save(checkpoints, model, moments, scheduler, state))

    ending = _ending(state, steps, settings)  # an earlier process may have ended before it could report
    for step in steps.optimizer_steps(state) if ending is None else ():
        accumulate_gradients(wrapped, inputs, step, settings.seed, state.step, accelerator, meter)
        number = state.step + 1
        inputs.before_step(number, steps.total, partial(gradient_scale, accelerator))
        after_update = partial(inputs.after_step, number, steps.total)
        norm, rate = update_weights(trainable, settings.max_grad_norm, prepared, scheduler, accelerator, after_update)
        state.step += 1
        state.epoch, state.batch = step.after
        state.tokens, state.seconds = meter.tokens, inputs.agree(meter.seconds())
        ending = _ending(state, steps, settings)
        callback.progress(state, steps.total, step.epoch)
        if state.step % settings.log_every == 0 or ending:
            callback.log({**_row_head(state, step, meter), **meter.read(norm, rate, state.step)})
        improved = False
        if inputs.evaluate and (ending or is_due(state.step, settings.eval_every, step.ends_epoch)):
            metrics = inputs.evaluate()
            inputs.set_training()
            callback.log({**_row_head(state, step, meter), **metrics})
            improved = _record_evaluation(state, metrics[inputs.primary_metric], inputs.better)
        ending = ending or _ending(state, steps, settings) or ("stopped" if callback.stop_requested() else None)
        due = is_due(state.step, settings.checkpoint_every, step.ends_epoch)
        if ending or due or (improved and settings.load_best):
            meter.check(state.step, None if prepared.step_was_skipped else norm)
            save(more_steps=ending in (None, "stopped"))
        if ending:
            break
    state.seconds = meter.seconds()
    accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)
    return TrainResult(state, steps.total, ending or "finished")


def accumulate_gradients(
    model: nn.Module,
    inputs: TrainingInputs,
    step: OptimizerStep,
    seed: int,
    index: int,
    accelerator: Accelerator,
    meter: Meter,
) -> None:
    """Run forward and backward over the batches of a step. Each batch is weighted by its share of the step's targets.

    Args:
        model: the model, prepared by ``accelerator``.
        inputs: builds the batches.
        step: the batches of the step.
        seed: the run's seed.
        index: index of the step in the run, from 0.
        accelerator: holds the device and the precision.
        meter: adds up the losses.
    """
    total = sum(inputs.loss_weight(indices) for indices in step.batches)
    for micro, indices in enumerate(step.batches):
        seed_batch(seed, index, micro)
        with accelerator.autocast():
            loss = inputs.forward(model, inputs.batch(indices)).loss * (inputs.loss_weight(indices) / total)
        accelerator.backward(loss)
        meter.add(loss.detach(), inputs.tokens(indices))


def update_weights(
    trainable: list[nn.Parameter],
    max_grad_norm: float,
    optimizer: AcceleratedOptimizer,
    scheduler: LambdaLR,
    accelerator: Accelerator,
    after_update: Callable[[], None] = lambda: None,
) -> tuple[torch.Tensor, float]:
    """Clip the gradients and update the weights.

    Args:
        trainable: the weights.
        max_grad_norm: largest gradient norm; 0 for no clipping.
        optimizer: prepared by ``accelerator``.
        scheduler: scheduler of the learning rate.
        accelerator: holds the precision.
        after_update: called after the update, before the gradients are cleared.

    Returns:
        The norm of the gradients before clipping, and the learning rate of the step.
    """
    if max_grad_norm:
        norm = accelerator.clip_grad_norm_(trainable, max_grad_norm)
    else:
        accelerator.unscale_gradients(optimizer)  # in half precision; clipping does it itself
        norm = gradient_norm(trainable)
    rate = scheduler.get_last_lr()[0]
    optimizer.step()
    if not optimizer.step_was_skipped:  # half precision skips a step whose gradients are not finite
        scheduler.step()
        after_update()
    optimizer.zero_grad()
    return norm, rate  # type: ignore[return-value]


def gradient_scale(accelerator: Accelerator) -> float:
    """Return the factor that the gradients carry before they are unscaled: 1, except in half precision.

    Args:
        accelerator: holds the gradient scaler.
    """
    return float(accelerator.scaler.get_scale()) if accelerator.scaler else 1.0


def seed_batch(seed: int, step: int, micro: int) -> None:
    """Seed torch for one batch, so that dropout depends on the position in the run only.

    Args:
        seed: the run's seed.
        step: index of the optimizer step.
        micro: index of the batch in the step.
    """
    torch.manual_seed(int(np.random.SeedSequence([seed, step, micro]).generate_state(1, np.uint64)[0] >> np.uint64(1)))


def is_due(step: int, every: int | None, ends_epoch: bool) -> bool:
    """Return whether a periodic action is due after a step.

    Args:
        step: the step, from 1.
        every: the period in steps; None for once an epoch.
        ends_epoch: whether the step ends an epoch.
    """
    return ends_epoch if every is None else step % every == 0


def _row_head(state: TrainState, step: OptimizerStep, meter: Meter) -> MetricsRow:
    """Return the first fields of a row of metrics."""
    return {
        "step": state.step,
        "epoch": round(step.epoch, 4),
        "time": round(meter.seconds(), 3),
        "tokens": state.tokens,
    }


def _ending(state: TrainState, steps: StepSchedule, settings: TrainingSpec) -> Ending | None:
    """Return why training is over; None while it continues."""
    if state.step >= steps.total:
        return "finished"
    if settings.max_minutes is not None and state.seconds >= 60 * settings.max_minutes:
        return "time"
    patience = settings.early_stopping_patience
    if patience is not None and state.evals_since_improvement >= patience:
        return "early"
    return None


def _record_evaluation(state: TrainState, value: float, better: Callable[[float, float], bool]) -> bool:
    """Record an evaluation in the state; return whether it is the best so far."""
    if state.best_metric is None or better(value, state.best_metric):
        state.best_step, state.best_metric, state.evals_since_improvement = state.step, value, 0
        return True
    state.evals_since_improvement += 1
    return False
