"""A profiling run: a few real steps of a run, timed, from which the cost of the whole run is extrapolated.

    python -m workbench.training.estimate FOLDER

It reads the run's own data, loads its model, and takes some of the run's batches: first the largest, for memory and to
warm up, then others of all sizes. A straight line through the seconds of a step over its tokens (with padding) predicts
all steps. Evaluation, checkpoints and everything after training are done once on a small subset, and counted as often
as the run does them.
"""

from __future__ import annotations

import shutil
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import psutil
import torch

from workbench.data.text.batching import Batches
from workbench.notes import BUSY_MACHINE
from workbench.runs import estimates
from workbench.runs.documents import Estimate
from workbench.runs.predictions import write_predictions
from workbench.runs.run import Run
from workbench.spec import RANGE_TEST, RunSpec, TrainingSpec
from workbench.system.machine import peak_rss_bytes
from workbench.system.terminal import say
from workbench.tasks.base import Task
from workbench.training.context import RunContext
from workbench.training.core import checkpoint
from workbench.training.core.cost import count_parameters
from workbench.training.core.meter import Meter
from workbench.training.core.optim import make_optimizer, make_schedule
from workbench.training.core.state import TrainState
from workbench.training.core.steps import OptimizerStep, StepSchedule
from workbench.training.extrapolation import (
    MIN_STEPS,
    TimeEstimate,
    Timings,
    evenly_spaced,
    extrapolate_memory,
    extrapolate_solving,
    extrapolate_time,
    first_epoch,
    memory_growth,
    sample_rows,
    sample_steps,
    step_size,
)
from workbench.training.heads.solved_head import FOLDS, SolvedHead, can_solve
from workbench.training.job import RecordingHooks
from workbench.training.loop import TrainingInputs, accumulate_gradients, gradient_scale, update_weights
from workbench.training.prepare import Prepared, prepare
from workbench.training.reporter import RunReporter, StopRequested
from workbench.training.results import save_model
from workbench.training.runner import as_workbench_error
from workbench.training.splits import EncodedSplit, reported_split
from workbench.training.trainer import Trainer, evaluate_zero_shot
from workbench.types import Ints

if TYPE_CHECKING:
    from torch.optim.lr_scheduler import LambdaLR

STEP_SECONDS = 12.0  # of timing steps, without the warm-up
WARM_UP = 2  # steps that are not counted: memory is allocated, kernels are chosen
GENERATED = 16  # examples that a generating task answers

T = TypeVar("T")
Splits = dict[str, EncodedSplit]


class ProfilingReporter(RunReporter):
    """The reporter of a profiling run. It measures the time spent on downloads, which happen once per machine.

    Args:
        run: the folder of the profiling run.

    Attributes:
        download_seconds: time spent on downloads.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.download_seconds = 0.0
        self._download = ("", 0.0)  # label and time of the last report

    def download(self, label: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if self._download[0] == label:
            self.download_seconds += now - self._download[1]
        self._download = (label, now)
        super().download(label, done, total)


@dataclass(frozen=True)
class SelectedBatches(Batches):
    """Batches of which ``in_order`` returns only some: those that a profiling run takes."""

    selected: tuple[Ints, ...] = ()

    @classmethod
    def of(cls, plan: Batches, selected: tuple[Ints, ...]) -> SelectedBatches:
        """Return a plan with selected batches.

        Args:
            plan: all batches.
            selected: the batches to take.
        """
        return cls(plan.lengths, plan.batch_size, plan.max_tokens_per_batch, plan.group_by_length, plan.seed, selected)

    def in_order(self) -> list[Ints]:
        return list(self.selected)


class ProfilingRun:
    """The work of a run on a small subset of its data, timed.

    Args:
        run: a folder with a resolved spec, outside of ``runs/``.
        reporter: receives progress, and knows whether the profiling run was asked to stop.
    """

    def __init__(self, run: Run, reporter: ProfilingReporter) -> None:
        self.context = RunContext.create(run, reporter)
        self.reporter = reporter
        self.trains = self.context.spec.kind != RANGE_TEST  # and evaluates, and saves
        self.settings = _settings(self.context.spec)
        self.timings = Timings()
        self.extra_bytes = 0.0  # that the run will hold beyond what the profiling run holds

    def measure(self) -> Estimate:
        """Do the profiling run and extrapolate.

        Raises:
            WorkbenchError: something would make the run fail, too.
            StopRequested: the profiling run was asked to stop.
        """
        began = time.monotonic()
        hooks = RecordingHooks(self.context, [])
        prepared = prepare(self.context.resolved, self.context.workspace, self.context.run.tokenizer_folder, hooks)
        self.timings.prepare = time.monotonic() - began - self.reporter.download_seconds
        if can_solve(self.context, prepared):
            return self._measure_solving(prepared, began)
        splits, plan = prepared.splits, prepared.splits["train"].batches
        steps = StepSchedule.from_spec(plan, self.settings, splits["train"].tokens, prepared.task.min_steps())
        epoch = first_epoch(steps)
        selected = sample_steps(epoch, plan)
        small = self._subsets(prepared, selected)
        self._time_zero_shot(prepared, small)
        trainer = Trainer(self.context, prepared, self.settings)
        inputs = trainer.inputs(small)
        if steps.repeats_examples():
            self._time_caching(trainer, splits, small)
        with trainer.activations.replaying():
            if trainer.compiles:
                trainer.model.compile()
            self._time_steps(trainer, inputs, selected, steps.total)
            if self.trains:
                self._time_evaluation(trainer, splits, small)
        if self.trains:
            self._time_finish(trainer, splits, small)
        sizes = np.array([step_size(step, plan) for step in epoch])
        expected = extrapolate_time(self.timings, steps, sizes, self.settings, self.trains)
        return self._estimate(trainer, expected, steps.total, time.monotonic() - began)

    def _measure_solving(self, prepared: Prepared, began: float) -> Estimate:
        """Compute the features of a few texts, solve the head for them, and extrapolate both to all texts."""
        splits, timings = prepared.splits, self.timings
        small = {name: prepared.encode(split, sample_rows(split)) for name, split in splits.items()}
        self._time_zero_shot(prepared, small)
        solver = SolvedHead(self.context, prepared)
        names = [name for name in ("train", "valid") if name in splits]
        features = {}
        for name in names:
            self._check_stop()
            features[name], seconds = timed(partial(solver.features, small[name], "timing the features"))
            timings.caching += seconds * _size_ratio(splits, small, [name])
        _, seconds = timed(lambda: solver.solve(features["train"], small["train"]))
        timings.steps = [seconds * len(splits["train"]) / len(small["train"])]
        self._time_finish(solver, splits, small)
        self.extra_bytes += 4 * features["train"].shape[1] * sum(len(splits[name]) for name in names)
        evaluations = len(solver.strengths)
        solutions = evaluations * (1 if "valid" in splits else 1 + FOLDS) + solver.learns_from_validation()
        expected = extrapolate_solving(timings, solutions, evaluations)
        return self._estimate(solver, expected, evaluations, time.monotonic() - began)

    def _subsets(self, prepared: Prepared, steps: list[OptimizerStep]) -> Splits:
        """Return the splits with few batches each; the training split with those of ``steps``."""
        train = prepared.splits["train"]
        batches = tuple(batch for step in steps for batch in step.batches)
        small = {"train": replace(train, batches=SelectedBatches.of(train.batches, batches))}
        for name in ("valid", "test"):
            if name in prepared.splits:
                split = prepared.splits[name]
                small[name] = prepared.encode(split, sample_rows(split))
        return small

    def _time_zero_shot(self, prepared: Prepared, small: Splits) -> None:
        """Time what a task measures before training."""
        if self.context.task.evaluates_zero_shot and self.trains:
            _, seconds = timed(lambda: evaluate_zero_shot(self.context, prepared, small))
            self.timings.prepare += seconds * _size_ratio(prepared.splits, small, [reported_split(small)])

    def _time_caching(self, trainer: Trainer, splits: Splits, small: Splits) -> None:
        """Time caching the activations of the selected batches; extrapolate to all in time and memory."""
        _, seconds = timed(lambda: trainer.cache_activations(small))
        if trainer.activations.summary is None:
            return
        names = [name for name in ("train", "valid") if name in splits]
        self.timings.caching = seconds * _size_ratio(splits, small, names)
        width = trainer.model.config.hidden_size * 4
        all_tokens = sum(int(splits[name].encoded.tokens.offsets[-1]) for name in names)
        cached = sum(small[name].tokens(np.concatenate(small[name].batches.in_order())) for name in names)
        self.extra_bytes += max(0, all_tokens - cached) * width

    def _time_steps(self, trainer: Trainer, inputs: TrainingInputs, steps: list[OptimizerStep], total: int) -> None:
        """Take steps as the loop does, the largest first, and time those after the warm-up."""
        model, accelerator, settings = trainer.model, self.context.accelerator, self.settings
        optimizer = make_optimizer(model, settings, trainer.learning_rate, inputs.lr_multipliers, inputs.no_decay)
        scheduler = make_schedule(optimizer, settings, total, inputs.lr_multiplier)
        trainable = [p for p in model.parameters() if p.requires_grad]
        wrapped, prepared = accelerator.prepare(model, optimizer)
        meter, began = Meter(TrainState()), 0.0
        inputs.set_training()
        for index, step in enumerate([steps[0]] * WARM_UP + steps[1:]):
            self._check_stop()
            self.reporter.phase("timing steps", index, WARM_UP + len(steps) - 1)
            if index == WARM_UP:
                began = time.monotonic()
            step_began = time.monotonic()
            accumulate_gradients(wrapped, inputs, step, settings.seed, index, accelerator, meter)
            inputs.before_step(index + 1, total, partial(gradient_scale, accelerator))
            after_update = partial(inputs.after_step, index + 1, total)
            update_weights(trainable, settings.max_grad_norm, prepared, scheduler, accelerator, after_update)
            _wait_for_device()
            if index == 0:
                self.timings.first_step = time.monotonic() - step_began
            if index >= WARM_UP - 1:  # the second time, the largest step is as fast as it will be
                self.timings.steps.append(time.monotonic() - step_began)
                self.timings.sizes.append(step_size(step, trainer.prepared.splits["train"].batches))
                self.timings.resident_bytes.append(psutil.Process().memory_info().rss)
            if index >= MIN_STEPS and time.monotonic() - began > STEP_SECONDS:
                break
        accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)
        if self.trains:
            self._time_checkpoint(trainer, optimizer, scheduler)

    def _time_checkpoint(self, trainer: Trainer, optimizer: torch.optim.Optimizer, scheduler: LambdaLR) -> None:
        self.reporter.phase("timing a checkpoint")
        folder = self.context.run.checkpoints_folder
        path, self.timings.checkpoint = timed(
            lambda: checkpoint.save(folder, trainer.model, optimizer, scheduler, TrainState(step=1))
        )
        if self.settings.load_best:  # the run loads weights again, which needs memory
            checkpoint.load(path, trainer.model)

    def _time_evaluation(self, trainer: Trainer, splits: Splits, small: Splits) -> None:
        if "valid" not in small:
            return
        self._check_stop()
        self.reporter.phase("timing an evaluation")
        _, first = timed(lambda: trainer.validate(small["valid"]))
        _, seconds = timed(lambda: trainer.evaluation.evaluate(small["valid"]))
        self.timings.evaluation = seconds * _size_ratio(splits, small, ["valid"])
        has_samples = self.context.run.samples_file.exists()
        self.timings.samples = max(0.0, first - seconds) if has_samples else 0.0

    def _time_finish(self, trainer: Trainer, splits: Splits, small: Splits) -> None:
        """Time what follows training: the final evaluation, the report, and saving the model."""
        self._check_stop()
        name = reported_split(small)
        self.reporter.phase(f"timing the evaluation on the {name} split")
        split, whole, evaluation, task = small[name], splits[name], trainer.evaluation, self.context.task
        (outputs, _), seconds = timed(lambda: evaluation.outputs(split))
        self.timings.finish = seconds * _size_ratio(splits, small, [name])
        held = 3 * outputs.nbytes * len(whole) / len(split)  # a list of them, all concatenated, and in order
        self.extra_bytes += max(0.0, held - (peak_rss_bytes() - psutil.Process().memory_info().rss))
        if type(task).finish is not Task.finish:  # generating is slow: a few examples are enough
            split = trainer.prepared.encode(split, evenly_spaced(len(split.examples), GENERATED))
            outputs, _ = evaluation.outputs(split)
            generated, seconds = timed(lambda: evaluation.final_outputs(split, outputs, self.reporter.generation))
            self.timings.finish += seconds * len(whole.examples) / len(split.examples)
        else:
            generated = outputs
        train_targets = small["train"].encoded.targets

        def report() -> None:
            task.report(generated, split.encoded.targets, train_targets)
            rows = task.prediction_rows(split.examples, generated, split.encoded.targets)
            write_predictions(self.context.run, rows)

        self.timings.finish += timed(report)[1]
        self.reporter.phase("timing how the model is saved")
        self.timings.finish += timed(lambda: save_model(self.context, trainer.prepared, trainer.model))[1]

    def _check_stop(self) -> None:
        if self.reporter.stop_requested():
            raise StopRequested

    def _estimate(self, trainer: Trainer, expected: TimeEstimate, steps: int, took_seconds: float) -> Estimate:
        timings, device = self.timings, self.context.device
        notes = expected.notes
        if any(run.is_alive() for run in Run.all(self.context.workspace)):
            notes.append(BUSY_MACHINE)
        trainable, total = count_parameters(trainer.model)
        on_gpu = device.kind == "cuda"
        measured = (torch.cuda.max_memory_allocated() if on_gpu else peak_rss_bytes()) + self.extra_bytes
        growth = 0.0 if on_gpu else memory_growth(timings.resident_bytes, steps)
        return Estimate(
            total_seconds=expected.total,
            seconds=expected.training,
            peak_memory_bytes=extrapolate_memory(measured, growth),
            trained_parameters=trainable,
            total_parameters=total,
            steps=steps,
            seconds_per_step=expected.seconds_per_step,
            evaluations=expected.evaluations,
            seconds_per_evaluation=timings.evaluation + timings.samples,
            measured_steps=len(timings.steps),
            took_seconds=took_seconds,
            device=device.name,
            machine=estimates.this_machine(),
            notes=notes,
        )


def timed(function: Callable[[], T]) -> tuple[T, float]:
    """Call a function and wait for the GPU.

    Args:
        function: called without arguments.

    Returns:
        Its result, and the seconds that it took.
    """
    began = time.monotonic()
    result = function()
    _wait_for_device()
    return result, time.monotonic() - began


def _wait_for_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _settings(spec: RunSpec) -> TrainingSpec:
    """Return the ``training`` section of the spec, with the length of a range test if it is one."""
    if spec.kind != RANGE_TEST:
        return spec.training
    length = {"epochs": 10_000.0, "max_steps": spec.range_test.steps, "max_tokens": None}
    return spec.training.model_copy(update=length)


def _size_ratio(splits: Splits, small: Splits, names: Sequence[str]) -> float:
    """Return how many times more tokens (with padding) some splits have than their subsets."""
    return sum(splits[name].padded_tokens() for name in names) / sum(small[name].padded_tokens() for name in names)


def profile_folder(folder: Path) -> int:
    """Do the profiling run in a folder, in this process, and store the estimate in the workspace.

    Args:
        folder: holds the resolved spec.

    Returns:
        The exit code.
    """
    run = Run(folder)
    lock = run.process_lock()
    if not lock.acquire():
        return 0
    reporter = ProfilingReporter(run)
    reporter.start()
    try:
        profiling = ProfilingRun(run, reporter)
        estimate = profiling.measure()
        estimates.save(estimate, profiling.context.spec, profiling.context.workspace)
        reporter.close()
        run.update_status(state="succeeded")
        return 0
    except StopRequested:
        reporter.close()
        run.update_status(state="stopped")
        return 0
    except Exception as error:
        reporter.close()
        failure = as_workbench_error(error)
        say(traceback.format_exc().rstrip(), to_errors=True)
        run.update_status(state="failed", error=failure.as_dict())
        return failure.exit_code
    finally:
        reporter.release_reserve()
        for path in folder.iterdir():  # weights, as large as the run's own
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
        lock.release()


if __name__ == "__main__":
    sys.exit(profile_folder(Path(sys.argv[1])))
