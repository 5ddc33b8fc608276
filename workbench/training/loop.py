"""The training loop: the one that notebooks teach, the dashboard launches and the tests hold to transformers' Trainer.

    for each optimizer step:
        for each batch of it:
            loss = model(batch)            # forward
            loss.backward()                # gradients add up
        clip the gradients
        optimizer.step(); schedule.step()  # the weights move
        now and then: log, evaluate, write a checkpoint

Two things make a killed and resumed run end with the very same weights: batches are a function of seed and epoch
(:mod:`workbench.data.text.batching`), and dropout is seeded anew at each batch by its place. Losses stay on the
device until
a line of metrics is due, so that a GPU never waits for the host.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import nn

from workbench.spec import TrainingSpec
from workbench.training import checkpoint
from workbench.training.meter import Meter
from workbench.training.optim import Schedule, gradient_norm, make_optimizer, make_schedule
from workbench.training.state import TrainState
from workbench.training.steps import BatchPlan, Indices, OptimizerStep, StepSchedule

Batch = dict[str, torch.Tensor]
Ending = Literal["finished", "time", "early", "stopped"]


class TrainerCallback(Protocol):
    """What the loop tells while it runs, and what it asks."""

    def log(self, row: dict[str, Any]) -> None:
        """A line of metrics is due."""

    def progress(self, position: TrainState, steps: int, epoch: float) -> None:
        """A step is done; called at each, so it must be quick."""

    def save(self, position: TrainState, save: Callable[[], Path]) -> None:
        """A checkpoint is due: call ``save``."""

    def stop_requested(self) -> bool:
        """Whether the run shall end after this step."""


@dataclass
class TrainingInputs:
    """What a loop trains on.

    Attributes:
        plan: the batches of each epoch.
        batch: the batch of some indices, on the device.
        weight: targets in a batch, on the host.
        tokens: tokens in a batch, padding left out, on the host.
        evaluate: metrics of the validation part by name, or None when there is no such part.
        better: whether the first value of the primary metric is better than the second.
        primary_metric: the name in what ``evaluate`` returns.
        set_training: puts the model into training mode.
        schedule: what the largest learning rate is multiplied by at a step of so many; the spec's if left out.
        rates, no_decay: of the optimizer's groups, see :func:`workbench.training.optim.parameter_groups`.
        before_step: told of the step (from 1), of how many, and how to ask for the scale of the gradients (a GPU then
            makes the host wait), before they are clipped.
        after_step: told of the step (from 1), and of how many, when the weights have moved.
    """

    plan: BatchPlan
    batch: Callable[[Indices], Batch]
    weight: Callable[[Indices], int]
    tokens: Callable[[Indices], int]
    evaluate: Callable[[], dict[str, float]] | None = None
    better: Callable[[float, float], bool] = lambda new, old: new > old
    primary_metric: str = "eval/accuracy"
    set_training: Callable[[], None] = lambda: None
    schedule: Schedule | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    no_decay: Collection[str] = ()
    before_step: Callable[[int, int, Callable[[], float]], None] = lambda step, steps, scale: None
    after_step: Callable[[int, int], None] = lambda step, steps: None
    forward: Callable[[nn.Module, Batch], Any] = lambda model, batch: model(**batch)


@dataclass
class TrainResult:
    """How training ended: where, and why."""

    position: TrainState
    steps: int
    ending: Ending

    @property
    def note(self) -> str | None:
        """Why training ended before its last step, for the report; None when it did not."""
        why = {"time": "training.max_minutes have passed", "early": "no improvement"}.get(self.ending)
        return why and f"Stopped early at step {self.position.step} of {self.steps}: {why}."


def train(
    model: nn.Module,
    material: TrainingInputs,
    settings: TrainingSpec,
    learning_rate: float,
    accelerator: Any,
    watcher: TrainerCallback,
    checkpoints: Path,
    resume: bool = False,
) -> TrainResult:
    """Train ``model`` in place.

    Args:
        model: on its device, with ``requires_grad`` where weights shall move.
        material: batches and evaluation.
        settings: the spec's training part.
        learning_rate: the largest.
        accelerator: accelerate's: device, precision, several processes.
        watcher: told of everything.
        checkpoints: the folder that checkpoints go to.
        resume: go on from the newest whole checkpoint, if there is one.

    Raises:
        NonFiniteLossError: the loss is NaN or infinite.
        StorageError: a checkpoint or a line of metrics could not be written.
    """
    steps = StepSchedule.from_spec(material.plan, settings, material.tokens)
    optimizer = make_optimizer(model, settings, learning_rate, material.rates, material.no_decay)
    scheduler = make_schedule(optimizer, settings, steps.total, material.schedule)
    position = TrainState()
    found = checkpoint.latest(checkpoints) if resume else None
    if found is not None:
        position = checkpoint.load(found, model, optimizer, scheduler)
    trained = [p for p in model.parameters() if p.requires_grad]
    wrapped, prepared = accelerator.prepare(model, optimizer)
    if accelerator.scaler and position.loss_scale:
        accelerator.scaler.load_state_dict(position.loss_scale)
    meter = Meter(position)
    material.set_training()

    def save(more_steps: bool) -> None:
        moments = optimizer if more_steps or settings.keep_checkpoints else None
        meter.note(position)
        position.loss_scale = accelerator.scaler.state_dict() if accelerator.scaler else None
        watcher.save(position, lambda: checkpoint.save(checkpoints, model, moments, scheduler, position))

    ending = _ending(position, steps, settings)  # of the process before, which did not live to tell
    for group in steps.optimizer_steps(position) if ending is None else ():
        add_up_gradients(wrapped, material, group, settings.seed, position.step, accelerator, meter)
        number = position.step + 1
        material.before_step(number, steps.total, lambda: accelerator.scaler.get_scale() if accelerator.scaler else 1.0)
        moved = partial(material.after_step, number, steps.total)
        norm, rate = move_weights(trained, settings.max_grad_norm, prepared, scheduler, accelerator, moved)
        position.step += 1
        position.epoch, position.batch = group.after
        position.tokens, position.seconds = meter.tokens, meter.seconds()
        ending = _ending(position, steps, settings)
        watcher.progress(position, steps.total, group.epoch)
        if position.step % settings.log_every == 0 or ending:
            watcher.log({**where(position, group, meter), **meter.read(norm, rate, position.step)})
        improved = False
        if material.evaluate and (ending or _due(position.step, settings.eval_every, group.ends_epoch)):
            figures = material.evaluate()
            material.set_training()
            watcher.log({**where(position, group, meter), **figures})
            improved = _note_evaluation(position, figures[material.primary_metric], material.better)
        ending = ending or _ending(position, steps, settings) or ("stopped" if watcher.stop_requested() else None)
        due = _due(position.step, settings.checkpoint_every, group.ends_epoch)
        if ending or due or (improved and settings.load_best):
            meter.check(position.step, None if prepared.step_was_skipped else norm)
            save(more_steps=ending in (None, "stopped"))
        if ending:
            break
    position.seconds = meter.seconds()
    accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)
    return TrainResult(position, steps.total, ending or "finished")


def add_up_gradients(
    model: nn.Module,
    material: TrainingInputs,
    group: OptimizerStep,
    seed: int,
    step: int,
    accelerator: Any,
    meter: Meter,
) -> None:
    """Forward and backward for the batches of one step; each counts by its share of the step's targets."""
    total = sum(material.weight(indices) for indices in group.batches)
    for micro, indices in enumerate(group.batches):
        seed_batch(seed, step, micro)
        with accelerator.autocast():
            loss = material.forward(model, material.batch(indices)).loss * (material.weight(indices) / total)
        accelerator.backward(loss)
        meter.add(loss.detach(), material.tokens(indices))


def move_weights(
    trained: list[nn.Parameter],
    max_grad_norm: float,
    optimizer: Any,
    scheduler: Any,
    accelerator: Any,
    moved: Callable[[], None] = lambda: None,
) -> tuple[torch.Tensor, float]:
    """Clip the gradients and move the weights; returns the gradients' norm before clipping, and the learning rate.

    ``moved`` is called when they have moved, with the gradients still there.
    """
    if max_grad_norm:
        norm = accelerator.clip_grad_norm_(trained, max_grad_norm)
    else:
        accelerator.unscale_gradients(optimizer)  # of half precision; clipping does it by itself
        norm = gradient_norm(trained)
    rate = scheduler.get_last_lr()[0]
    optimizer.step()
    if not optimizer.step_was_skipped:  # half precision skips a step whose gradients are not finite
        scheduler.step()
        moved()
    optimizer.zero_grad()
    return norm, rate


def seed_batch(seed: int, step: int, micro: int) -> None:
    """Seed torch for one batch: dropout depends on the place in the run, and on nothing that happened before."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, micro]).generate_state(1, np.uint64)[0] >> np.uint64(1)))


def where(position: TrainState, group: OptimizerStep, meter: Meter) -> dict[str, Any]:
    """The first fields of a line of metrics."""
    return {
        "step": position.step,
        "epoch": round(group.epoch, 4),
        "time": round(meter.seconds(), 3),
        "tokens": position.tokens,
    }


def _due(step: int, every: int | None, ends_epoch: bool) -> bool:
    return ends_epoch if every is None else step % every == 0


def _ending(position: TrainState, steps: StepSchedule, settings: TrainingSpec) -> Ending | None:
    """Why training is over at ``position``; None while it goes on."""
    if position.step >= steps.total:
        return "finished"
    if settings.max_minutes is not None and position.seconds >= 60 * settings.max_minutes:
        return "time"
    if settings.early_stopping_patience is not None and position.worse >= settings.early_stopping_patience:
        return "early"
    return None


def _note_evaluation(position: TrainState, value: float, better: Callable[[float, float], bool]) -> bool:
    """Remember the best evaluation; True when this is it."""
    if position.best_value is None or better(value, position.best_value):
        position.best_step, position.best_value, position.worse = position.step, value, 0
        return True
    position.worse += 1
    return False
