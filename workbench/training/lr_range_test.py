"""A learning-rate range test: the data, model, method and loop of a training run, with a learning rate that only rises.

It yields no model. Its losses are analyzed in :mod:`workbench.runs.lr_range_test`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from workbench.errors import NonFiniteLossError
from workbench.files import write_text
from workbench.runs import estimates, lr_range_test
from workbench.runs.documents import Report
from workbench.runs.lr_range_plot import range_svg
from workbench.runs.run import Run
from workbench.spec import RangeTestSpec, TrainingSpec
from workbench.training.activation_cache import remove_cached_activations
from workbench.training.context import RunContext
from workbench.training.core.state import TrainState
from workbench.training.job import prepare_run, training_cost
from workbench.training.loop import MetricsRow, TrainingInputs, TrainResult
from workbench.training.reporter import RunReporter
from workbench.training.results import note_fields
from workbench.training.splits import EncodedSplit
from workbench.training.trainer import Trainer

PICTURE = "range-test.svg"


class Diverged(Exception):
    """Ends the loop of a range test whose loss has diverged: more steps would show nothing new."""


class RangeTestJob:
    """A learning-rate range test.

    Args:
        run: its folder.
        reporter: receives progress, and knows whether the test was asked to stop.
    """

    def __init__(self, run: Run, reporter: RunReporter) -> None:
        self.context = RunContext.create(run, reporter)
        self.notes: list[str] = []
        self._began = time.monotonic()

    def execute(self) -> Literal["succeeded", "stopped"]:
        """Do the whole test.

        Returns:
            How it ended.

        Raises:
            WorkbenchError: the test failed.
            StopRequested: the test was asked to stop before its first step.
        """
        context, reporter = self.context, self.context.reporter
        bounds = context.spec.range_test
        estimates.copy_to_run(context.spec, context.workspace, context.run.folder)
        try:
            prepared = prepare_run(context, self.notes)
            settings = range_test_settings(context.spec.training, bounds)
            trainer = Trainer(context, prepared, settings, learning_rate=bounds.highest)
            callback = RangeTestCallback(context.run, reporter)
            result = self._train(trainer, callback)
            reporter.may_stop = False
            if result.ending == "stopped":
                reporter.info(f"Stopped at step {result.state.step} as requested; the test can be resumed from there.")
                return "stopped"
            self._finish(trainer, result, callback.diverged_at)
            return "succeeded"
        finally:
            remove_cached_activations(context.run.folder)

    def _train(self, trainer: Trainer, callback: RangeTestCallback) -> TrainResult:
        bounds = self.context.spec.range_test
        inputs = range_test_inputs(trainer, trainer.prepared.splits, bounds)
        try:
            return trainer.train(inputs, callback)
        except (Diverged, NonFiniteLossError):
            callback.diverged_at = callback.state.step
            self.context.reporter.info(f"The loss diverged at step {callback.state.step}: the test ends here.")
            return TrainResult(callback.state, bounds.steps, "finished")

    def _finish(self, trainer: Trainer, result: TrainResult, diverged_at: int | None) -> None:
        run, prepared = self.context.run, trainer.prepared
        rates, losses = lr_range_test.loss_curve(run.read_metrics()[0])
        analysis = lr_range_test.analyze(rates, losses, diverged_at)
        write_text(run.folder / PICTURE, range_svg(analysis))
        run.write_report(
            Report(
                metrics={},
                baseline={},
                primary_metric=None,
                range_test=analysis,
                examples={name: len(split) for name, split in prepared.splits.items()},
                cost=training_cost(trainer, result, time.monotonic() - self._began),
                steps=result.state.step,
                **note_fields(prepared, [*self.notes, *trainer.notes]),
                data_fingerprint=prepared.dataset.fingerprint,
            )
        )
        self.context.reporter.info(analysis.how)


def range_test_settings(training: TrainingSpec, bounds: RangeTestSpec) -> TrainingSpec:
    """Return the ``training`` section of a range test.

    Everything that shapes a step is the spec's own, so that the suggested learning rate fits the spec. The length and
    the learning rate belong to the test.

    Args:
        training: the spec's section.
        bounds: steps and learning rates of the test.
    """
    return training.model_copy(
        update={
            "epochs": 10_000.0,
            "max_steps": bounds.steps,
            "max_tokens": None,
            "max_minutes": None,
            "early_stopping_patience": None,
            "load_best": False,
            "checkpoint_every": bounds.steps,
            "log_every": 1,
        }
    )


def range_test_inputs(trainer: Trainer, splits: dict[str, EncodedSplit], bounds: RangeTestSpec) -> TrainingInputs:
    """Return the inputs of a range test: no evaluation, and a learning rate that rises at every step.

    Args:
        trainer: trainer of the test.
        splits: the splits by name.
        bounds: steps and learning rates of the test.
    """
    return dataclasses.replace(
        trainer.inputs(splits),
        evaluate=None,
        lr_multiplier=lambda step, steps: lr_range_test.lr_multiplier(step, steps, bounds.lowest, bounds.highest),
    )


class RangeTestCallback:
    """The loop's callback in a range test. It ends the loop when the loss diverges, and saves a checkpoint only if the
    test was asked to stop.

    Args:
        run: the test's folder.
        reporter: receives what this callback receives.

    Attributes:
        state: after the last step.
        diverged_at: the step at which the loss diverged; None if it did not.
    """

    def __init__(self, run: Run, reporter: RunReporter) -> None:
        self.run = run
        self.reporter = reporter
        self.state = TrainState()
        self.diverged_at: int | None = None
        self._detector: lr_range_test.DivergenceDetector | None = None

    def log(self, row: MetricsRow) -> None:
        # Raises Diverged when the loss has diverged.
        if self._detector is None:  # a resumed test starts from the losses of the process before
            self._detector = lr_range_test.DivergenceDetector()
            for loss in lr_range_test.loss_curve(self.run.read_metrics()[0])[1]:
                self._detector.add(loss)
        self.reporter.log(row)
        if self._detector.add(row["train/loss"]):
            raise Diverged

    def progress(self, state: TrainState, steps: int, epoch: float) -> None:
        self.state = state
        self.reporter.progress(state, steps, epoch)

    def save(self, state: TrainState, save: Callable[[], Path]) -> None:
        if self.stop_requested():
            self.reporter.save(state, save)

    def stop_requested(self) -> bool:
        return self.reporter.stop_requested()
