"""Extrapolates the cost of a whole run from a profiling run: a few timed steps, one evaluation, one checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from workbench.data.text.batching import Batches
from workbench.notes import MAY_STOP_EARLY, TIME_LIMIT
from workbench.runs.documents import Interval
from workbench.spec import TrainingSpec
from workbench.training.core.state import TrainState
from workbench.training.core.steps import OptimizerStep, StepSchedule
from workbench.training.splits import EncodedSplit
from workbench.types import Floats, Ints

MIN_STEPS, MAX_STEPS = 6, 40  # timed steps of a profiling run
EVALUATED_BATCHES = 4  # of the validation and of the test split
# For what no short measurement shows: a machine that other programs slow down, memory that is not released.
TIME_MARGIN, MEMORY_MARGIN = 0.2, 0.1


@dataclass
class Timings:
    """The seconds that the stages of a profiling run took, scaled to the whole run where a stage ran on a subset.

    Attributes:
        prepare: loading the data and the model, without downloads.
        caching: caching activations of frozen layers.
        evaluation: an evaluation on the validation split.
        samples: generating sample texts at an evaluation.
        checkpoint: saving a checkpoint.
        finish: everything after training.
        first_step: the first step, which allocates memory and chooses kernels.
        steps: each timed step.
        sizes: tokens of each timed step, with padding.
        resident_bytes: memory of the process after each timed step.
    """

    prepare: float = 0.0
    caching: float = 0.0
    evaluation: float = 0.0
    samples: float = 0.0
    checkpoint: float = 0.0
    finish: float = 0.0
    first_step: float = 0.0
    steps: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    resident_bytes: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Line:
    """The seconds of a step as a linear function of its tokens: ``start + slope * tokens``, both at least 0.

    Attributes:
        start: seconds of a step without tokens.
        slope: seconds per token.
        spread: root mean square of the residuals, in seconds.
        count: number of measurements.
    """

    start: float
    slope: float
    spread: float
    count: int

    @classmethod
    def through(cls, sizes: Floats, seconds: Floats) -> Line:
        """Fit a line by least squares.

        Args:
            sizes: tokens of each step, [N].
            seconds: duration of each step, [N].
        """
        start, slope = float(seconds.mean()), 0.0
        if np.ptp(sizes) > 0.01 * sizes.mean():
            slope = float(np.cov(sizes, seconds, bias=True)[0, 1] / np.var(sizes))
            start = float(seconds.mean() - slope * sizes.mean())
            if start < 0:
                start, slope = 0.0, float((sizes * seconds).sum() / (sizes * sizes).sum())
            if slope < 0:
                start, slope = float(seconds.mean()), 0.0
        spread = float(np.sqrt(np.mean((seconds - start - slope * sizes) ** 2)))
        return cls(start, slope, spread, len(sizes))

    def at(self, sizes: Ints) -> Floats:
        """Return the seconds of steps.

        Args:
            sizes: tokens of each step, [N].
        """
        return np.asarray(self.start + self.slope * sizes, dtype=float)

    def error(self) -> float:
        """Return the standard error of the line's height, in seconds."""
        return float(self.spread / max(1, self.count) ** 0.5)


@dataclass(frozen=True)
class TimeEstimate:
    """The expected time of a run.

    Attributes:
        training: seconds of training, with its evaluations and checkpoints.
        total: seconds of the whole run.
        seconds_per_step: duration of an optimizer step.
        evaluations: number of evaluations in training.
        notes: sentences about what may change the time.
    """

    training: Interval
    total: Interval
    seconds_per_step: float
    evaluations: int
    notes: list[str]


def extrapolate_time(
    timings: Timings, steps: StepSchedule, sizes: Ints, settings: TrainingSpec, evaluates: bool
) -> TimeEstimate:
    """Extrapolate the time of a whole run.

    Args:
        timings: timings of the profiling run.
        steps: the steps of the whole run.
        sizes: tokens of each step of an epoch, with padding.
        settings: the ``training`` section of the spec.
        evaluates: whether the run evaluates and saves checkpoints; a range test does not.
    """
    line = Line.through(np.array(timings.sizes, dtype=float), np.array(timings.steps))
    per_step = float(np.mean(line.at(sizes)))
    evaluations = times_due(steps, settings.eval_every) if evaluates and timings.evaluation else 0
    saves = times_due(steps, settings.checkpoint_every) if evaluates else 0
    seconds = timings.caching + max(0.0, timings.first_step - timings.steps[0]) + per_step * steps.total
    seconds += evaluations * (timings.evaluation + timings.samples) + saves * timings.checkpoint
    seconds, least, notes = _apply_limits(seconds, evaluations, settings)
    margin = TIME_MARGIN + 2 * line.error() / per_step
    other = timings.prepare + timings.finish
    return TimeEstimate(
        training=_with_margin(seconds, least, margin),
        total=_with_margin(seconds + other, least + other, margin),
        seconds_per_step=per_step,
        evaluations=evaluations,
        notes=notes,
    )


def extrapolate_solving(timings: Timings, solutions: int, evaluations: int) -> TimeEstimate:
    """Extrapolate the time of a run that solves its head.

    Args:
        timings: timings of the profiling run; ``caching`` is the time of the features, ``steps`` that of solutions.
        solutions: number of solutions in the whole run.
        evaluations: number of evaluations in the whole run.
    """
    per_solution = float(np.mean(timings.steps))
    seconds = timings.caching + solutions * per_solution
    other = timings.prepare + timings.finish
    return TimeEstimate(
        training=_with_margin(seconds, seconds, 2 * TIME_MARGIN),
        total=_with_margin(seconds + other, seconds + other, 2 * TIME_MARGIN),
        seconds_per_step=seconds / evaluations,
        evaluations=evaluations,
        notes=[],
    )


def extrapolate_memory(measured: float, growth: float) -> Interval:
    """Extrapolate the peak memory of a whole run.

    Args:
        measured: bytes, the peak of the profiling run.
        growth: bytes that the run is expected to grow beyond it.
    """
    peak = measured + growth
    return Interval(value=peak, low=measured * (1 - MEMORY_MARGIN), high=peak * (1 + MEMORY_MARGIN))


def _apply_limits(seconds: float, evaluations: int, settings: TrainingSpec) -> tuple[float, float, list[str]]:
    """Return the seconds of training within the spec's limits, the least it can take, and notes about both."""
    notes = []
    if settings.max_minutes is not None and seconds > 60 * settings.max_minutes:
        seconds = 60 * settings.max_minutes
        notes.append(TIME_LIMIT.format(minutes=f"{settings.max_minutes:g}"))
    least, patience = seconds, settings.early_stopping_patience
    if patience is not None and evaluations > patience + 1:
        least = seconds * (patience + 1) / evaluations
        notes.append(MAY_STOP_EARLY)
    return seconds, least, notes


def _with_margin(value: float, least: float, margin: float) -> Interval:
    return Interval(value=value, low=max(0, 1 - margin) * least, high=(1 + margin) * value)


def memory_growth(resident_bytes: Sequence[int], steps: int) -> float:
    """Return the bytes that a process will still grow by after the measured steps.

    On a CPU, a run of an LSTM grew from 0.7 GB at step 13 to 1.4 GB at step 345, more and more slowly, while MiniLM
    hardly grows. The logarithm of the steps follows that roughly. A few steps show too little of it: for that LSTM a
    fifth is still missing.

    Args:
        resident_bytes: memory after each measured step.
        steps: number of steps of the whole run.
    """
    measured = len(resident_bytes)
    if measured < MIN_STEPS or steps <= measured:
        return 0.0
    slope = np.polyfit(np.log(np.arange(1, measured + 1)), np.array(resident_bytes, dtype=float), 1)[0]
    return max(0.0, float(slope) * float(np.log(steps / measured)))


def sample_steps(steps: list[OptimizerStep], plan: Batches, count: int = MAX_STEPS) -> list[OptimizerStep]:
    """Return the step with the most tokens, then others of all sizes in a fixed random order.

    Args:
        steps: the steps of an epoch.
        plan: their batches.
        count: most steps to return.
    """
    by_size = sorted(steps, key=lambda step: -step_size(step, plan))
    indices = np.unique(np.linspace(0, len(by_size) - 1, count).astype(int))
    shuffled = np.random.Generator(np.random.PCG64(0)).permutation(indices[1:])
    return [by_size[0], *(by_size[index] for index in shuffled)]


def sample_rows(split: EncodedSplit, batches: int = EVALUATED_BATCHES) -> list[int]:
    """Return examples that fill some batches of a split, the largest batch among them.

    Args:
        split: the split.
        batches: number of batches.
    """
    if len(split.encoded) != len(split.examples):  # rows are windows of examples: take any examples
        return evenly_spaced(len(split.examples), batches * split.batches.batch_size)
    all_batches = split.batches.in_order()
    return sorted(int(row) for index in evenly_spaced(len(all_batches), batches) for row in all_batches[index])


def evenly_spaced(length: int, count: int) -> list[int]:
    """Return up to ``count`` different indices below ``length``, evenly spaced, the first and the last among them.

    Args:
        length: number of items.
        count: most indices to return.
    """
    return [int(index) for index in np.unique(np.linspace(0, length - 1, count).astype(int))]


def times_due(steps: StepSchedule, every: int | None) -> int:
    """Return how often a periodic action of a run happens; it also happens after the last step.

    Args:
        steps: the steps of the run.
        every: the period in steps; None for once an epoch.
    """
    if every is not None:
        return math.ceil(steps.total / every)
    epoch = done = 0
    while done < steps.total:
        done += math.ceil(steps.plan.count(epoch) / steps.gradient_accumulation)
        epoch += 1
    return epoch


def step_size(step: OptimizerStep, plan: Batches) -> int:
    """Return the tokens of a step, with padding.

    Args:
        step: the step.
        plan: its batches.
    """
    return plan.padded_tokens(list(step.batches))


def first_epoch(steps: StepSchedule) -> list[OptimizerStep]:
    """Return the steps of the first epoch, or those of the run if it is shorter.

    Args:
        steps: the steps of the run.
    """
    epoch = []
    for step in steps.optimizer_steps(TrainState()):
        epoch.append(step)
        if step.ends_epoch:
            break
    return epoch
