"""A learning-rate range test: the same data, model, tuning and loop as a training, with a rate that only rises.

It gives no model. What it finds is judged in :mod:`workbench.runs.lr_range_test`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.data.load import Dataset
from workbench.errors import NonFiniteLossError
from workbench.files import write_text
from workbench.models.base import LoadedModel
from workbench.runs import lr_range_test
from workbench.runs.documents import Report
from workbench.runs.lr_range_plot import range_svg
from workbench.runs.run import Run
from workbench.training.job import TrainingJob
from workbench.training.loop import TrainerCallback, TrainingInputs, TrainResult
from workbench.training.runner import RunReporter
from workbench.training.splits import EncodedSplit
from workbench.training.state import TrainState

PICTURE = "range-test.svg"


class Diverged(Exception):
    """Ends the loop of a range test whose loss has exploded: it has seen what it came for."""


class RangeTestJob(TrainingJob):
    """One range test's work: see :class:`TrainingJob`."""

    def __init__(self, run: Run, watch: RunReporter) -> None:
        super().__init__(run, watch)
        self.bounds = self.spec.range_test
        self.rising = RangeTestCallback(run, watch)
        self.watcher = self.rising
        # What shapes a step is the spec's own, so that the suggestion fits it; the length and the rate are the test's.
        self.learning_rate = self.bounds.highest
        self.training = self.training.model_copy(
            update={
                "epochs": 10_000.0,
                "max_steps": self.bounds.steps,
                "max_tokens": None,
                "max_minutes": None,
                "early_stopping_patience": None,
                "load_best": False,
                "checkpoint_every": self.bounds.steps,
                "log_every": 1,
            }
        )

    def _material(self, parts: dict[str, EncodedSplit]) -> TrainingInputs:
        lowest, highest = self.bounds.lowest, self.bounds.highest
        return dataclasses.replace(
            super()._material(parts),
            evaluate=None,
            schedule=lambda step, steps: lr_range_test.lr_multiplier(step, steps, lowest, highest),
        )

    def _train(self, parts: dict[str, EncodedSplit]) -> TrainResult:
        try:
            return super()._train(parts)
        except (Diverged, NonFiniteLossError):
            position = self.rising.position
            self.rising.diverged_at = position.step
            self.watch.say(f"The loss exploded at step {position.step}: the test has seen enough.")
            return TrainResult(position, self.bounds.steps, "finished")

    def _finish(
        self, dataset: Dataset, loaded: LoadedModel, parts: dict[str, EncodedSplit], outcome: TrainResult, began: float
    ) -> None:
        rates, losses = lr_range_test.loss_curve(self.run.read_metrics()[0])
        found = lr_range_test.analyze(rates, losses, self.rising.diverged_at)
        write_text(self.run.folder / PICTURE, range_svg(found))
        self.run.write_report(
            Report.model_validate(
                {
                    "metrics": {},
                    "baseline": {},
                    "primary_metric": None,
                    "range_test": found.as_dict(),
                    "examples": {name: len(part) for name, part in parts.items()},
                    "cost": self._cost(parts["train"], outcome, began),
                    "steps": outcome.position.step,
                    "notes": self.notes,
                    "data_fingerprint": dataset.fingerprint,
                }
            )
        )
        self.watch.say(found.how)


@dataclasses.dataclass
class RangeTestCallback(TrainerCallback):
    """The loop's watcher in a range test: it ends the loop when the loss explodes, and saves only what a stopped test
    needs to go on."""

    run: Run
    watch: RunReporter
    position: TrainState = dataclasses.field(default_factory=TrainState)
    diverged_at: int | None = None
    divergence: lr_range_test.DivergenceDetector | None = None

    def log(self, row: dict[str, Any]) -> None:
        if self.divergence is None:  # a test that goes on remembers what the process before has seen
            self.divergence = lr_range_test.DivergenceDetector()
            for loss in lr_range_test.loss_curve(self.run.read_metrics()[0])[1]:
                self.divergence.add(loss)
        self.watch.log(row)
        if self.divergence.add(row["train/loss"]):
            raise Diverged

    def progress(self, position: TrainState, steps: int, epoch: float) -> None:
        self.position = position
        self.watch.progress(position, steps, epoch)

    def save(self, position: TrainState, save: Callable[[], Path]) -> None:
        if self.stop_requested():
            self.watch.save(position, save)

    def stop_requested(self) -> bool:
        return self.watch.stop_requested()
