"""A training run, step by step: data and model, training, evaluation, report."""

from __future__ import annotations

import time
from typing import Literal

import numpy as np

from workbench.data.load import Dataset
from workbench.errors import DataError, RequestError, SpecError
from workbench.files import write_json
from workbench.inference.model_card import write_model_card
from workbench.models.base import LoadedModel
from workbench.models.identity import same_base
from workbench.notes import NO_TEST_SPLIT, RESUMED_ELSEWHERE
from workbench.runs import estimates
from workbench.runs.documents import Cost, ModelBase, Report, Splits
from workbench.runs.report_notes import to_json
from workbench.runs.run import Run
from workbench.tasks.base import Task, TaskReport
from workbench.training.activation_cache import remove_cached_activations
from workbench.training.context import RunContext
from workbench.training.core import checkpoint
from workbench.training.core.cost import measure_cost
from workbench.training.core.environment import describe_environment
from workbench.training.heads.head_baseline import head_baseline
from workbench.training.heads.solved_head import SolvedHead, can_solve
from workbench.training.loop import TrainResult
from workbench.training.prepare import Prepared, PrepareHooks, prepare
from workbench.training.processes import ONE_PROCESS
from workbench.training.reporter import RunReporter
from workbench.training.results import (
    baseline_note,
    baseline_report,
    evaluate_finished,
    format_metric,
    report_fields,
    save_model,
    save_predictions,
)
from workbench.training.trainer import Trainer, evaluate_zero_shot

Ending = Literal["succeeded", "stopped"]


class TrainingJob:
    """A training run.

    ``execute()`` does the whole run. Its steps can also be called one after another: ``prepare()``,
    ``make_trainer(prepared)``, ``trainer.train()``, ``finish(trainer, result)``.

    Args:
        run: its folder.
        reporter: receives progress, and knows whether the run was asked to stop.

    Attributes:
        context: the run with its resolved spec and its device.
        notes: sentences for the report.
    """

    def __init__(self, run: Run, reporter: RunReporter) -> None:
        self.context = RunContext.create(run, reporter)
        _refuse_shared_batches(self.context)
        self.notes: list[str] = []
        self._began = time.monotonic()
        self._head_baseline: TaskReport = {}

    def execute(self) -> Ending:
        """Do the whole run.

        Returns:
            How it ended.

        Raises:
            WorkbenchError: the run failed.
            StopRequested: the run was asked to stop before training began.
        """
        reporter = self.context.reporter
        estimates.copy_to_run(self.context.spec, self.context.workspace, self.context.run.folder)
        try:
            prepared, processes = self.prepare(), self.context.processes
            if processes.is_main:
                processes.start_others()
            trainer = self.make_trainer(prepared)
            result = trainer.train()
            processes.leave()
            if not processes.is_main:
                return "stopped" if result.ending == "stopped" else "succeeded"
            trainer.evaluation.processes = ONE_PROCESS
            reporter.may_stop = False
            if result.ending == "stopped":
                reporter.info(f"Stopped at step {result.state.step} as requested; the run can be resumed from there.")
                return "stopped"
            self.finish(trainer, result)
            return "succeeded"
        finally:
            remove_cached_activations(self.context.run.folder)

    def prepare(self) -> Prepared:
        """Load the data and the model, and write down what the run starts from."""
        return prepare_run(self.context, self.notes)

    def make_trainer(self, prepared: Prepared) -> Trainer:
        """Return the trainer of the prepared model.

        Args:
            prepared: the run's data and model.
        """
        evaluate_zero_shot(self.context, prepared, prepared.splits)
        if can_solve(self.context, prepared):
            return SolvedHead(self.context, prepared)
        self._head_baseline = head_baseline(self.context, prepared)
        return Trainer(self.context, prepared)

    def finish(self, trainer: Trainer, result: TrainResult) -> None:
        """Evaluate the trained model, and write predictions, model and report.

        Args:
            trainer: holds the trained model.
            result: how training ended.
        """
        context, prepared = self.context, trainer.prepared
        weights_of_step = trainer.load_best(result)
        self.notes += trainer.notes
        context.reporter.phase(f"evaluating on the {prepared.reported} split")
        if prepared.reported == "valid":
            self.notes.append(NO_TEST_SPLIT)
        final = evaluate_finished(trainer.evaluation, prepared, context.reporter.generation)
        metrics = final.result["metrics"]
        metrics.setdefault("loss", {"value": final.loss, "low": None, "high": None})
        save_predictions(context, final)
        if type(context.task).baseline_report is not Task.baseline_report:
            context.reporter.phase("training a simple baseline")
        baseline = baseline_report(prepared, final, trainer.learns_from_validation())
        for name, values in self._head_baseline.items():
            value = values[context.task.primary_metric]
            context.reporter.info(f"{name}: {context.task.primary_metric} {value:.4f}")
            baseline["baselines"] = {**baseline.get("baselines", {}), name: value}
        baseline_notes = baseline.pop("notes", [])
        if note := baseline_note(prepared, baseline, result.state):
            baseline_notes.append(note)
        for note in baseline_notes:
            self.notes.append(note)
            context.reporter.info(note)
        context.reporter.phase("saving the model")
        save_model(context, prepared, trainer.model)
        report = Report.model_validate(
            {
                **report_fields(prepared, final, self.notes),
                **baseline,
                "cost": training_cost(trainer, result, time.monotonic() - self._began),
                "steps": result.state.step,
                "best_step": result.state.best_step,
                "weights_of_step": weights_of_step,
                "frozen_cache": trainer.activations.summary,
                "tuning": context.tuning.report(trainer.model),
            }
        )
        write_model_card(context.run, context.run.model_folder, report)
        context.run.write_report(report)
        name = context.task.primary_metric
        context.reporter.info(
            f"{name} {format_metric(report.metrics[name])} on {len(final.split.examples)} examples; baseline "
            f"{report.baseline[name]:.4f}"
        )


def _refuse_shared_batches(context: RunContext) -> None:
    """Raise SpecError in several processes if the loss of a row depends on the other rows of its batch."""
    if context.processes.count > 1 and context.task.compares_rows:
        raise SpecError(
            f"{context.task.name} compares the examples of a batch with each other, so {context.processes.count} "
            "processes cannot share a batch.",
            "Train it in one process: workbench run SPEC",
        )


class RecordingHooks(PrepareHooks):
    """Reports a preparation, and writes ``splits.json`` and ``environment.json``.

    A run that is resumed must have the same data and the same base model as when it began.

    Args:
        context: the run.
        notes: receives sentences for the report.
    """

    def __init__(self, context: RunContext, notes: list[str]) -> None:
        self.context = context
        self.notes = notes
        self._resumes = checkpoint.latest(context.run.checkpoints_folder) is not None

    def phase(self, name: str) -> None:
        self.context.reporter.phase(name)

    def download(self, label: str, done: int, total: int | None) -> None:
        self.context.reporter.download(label, done, total)

    def data_loaded(self, dataset: Dataset) -> None:
        for note in dataset.notes:
            self.context.reporter.note(note)
        before = self.context.run.splits()
        if before is None or not self._resumes:
            return
        if before.fingerprint != dataset.fingerprint:
            raise DataError(
                f"The data of this run has changed since it began: {self.context.spec.data.train} now has "
                "different examples.",
                "Restore the file to resume, or start a new run on the new data.",
            )
        _restore_label_order(self.context.task, dataset, before.labels)

    def tokenizer_ready(self, dataset: Dataset, notes: list[str]) -> None:
        path = self.context.run.splits_file
        splits = Splits(
            fingerprint=dataset.fingerprint,
            ids=dataset.split_ids(),
            labels=self.context.task.labels,
            files=dataset.files,
        )
        write_json(path, splits.as_dict())
        for note in notes:
            self.context.reporter.info(note)

    def model_loaded(self, dataset: Dataset, loaded: LoadedModel) -> None:
        context, run = self.context, self.context.run
        seed = context.spec.training.seed
        model_base, count = ModelBase.model_validate(loaded.base), context.processes.count
        now = describe_environment(context.device, dataset.fingerprint, seed, model_base, count)
        before = run.environment()
        if before is None or not self._resumes:
            write_json(run.environment_file, now.as_dict())
            return
        if before.processes != now.processes:
            launcher = f"torchrun --nproc-per-node {before.processes} -m " if before.processes > 1 else ""
            raise RequestError(
                f"This run began in {_processes(before.processes)} and was resumed in {_processes(now.processes)}: its "
                "result would differ.",
                f"Resume it as it began: {launcher}workbench resume {run.id}",
            )
        base = before.base
        if base.source != loaded.base["source"] or not same_base(base.as_dict(), loaded.base):
            raise RequestError(
                f"The model that this run began with has changed: {context.spec.model.source} now has different "
                "weights.",
                "Restore it to resume, or start a new run.",
            )
        for name in ("device", "packages", "python"):
            old, new = getattr(before, name), getattr(now, name)
            if old != new:
                self.notes.append(RESUMED_ELSEWHERE.format(what=name, new=new, old=old))


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _restore_label_order(task: Task, dataset: Dataset, labels: list[str] | None) -> None:
    """Set the labels of a resumed run to the order that its weights have learned, before the task is fitted."""
    if labels is None:  # written by a version that sorted all labels as text
        task.fit(dataset.train)
        labels = sorted(task.labels)
    task.labels = labels


def prepare_run(context: RunContext, notes: list[str]) -> Prepared:
    """Prepare a run's data and model, and write ``splits.json``, ``environment.json`` and ``data.json``.

    Args:
        context: the run.
        notes: receives sentences for the report.

    Raises:
        WorkbenchError: see :func:`workbench.training.prepare.prepare`; or the run is resumed with other data or another
            base model.
        StopRequested: the run was asked to stop.
    """
    folder = context.run.folder
    hooks = RecordingHooks(context, notes)
    prepared = prepare(context.resolved, context.workspace, folder / "tokenizer", hooks)
    dataset = prepared.dataset
    for note in prepared.notes:
        if note not in dataset.notes:
            context.reporter.note(note)
    document = {**dataset.report, "notes": to_json(prepared.notes), "lengths": prepared.lengths}
    write_json(context.run.data_file, document)
    return prepared


def training_cost(trainer: Trainer, result: TrainResult, total_seconds: float) -> Cost:
    """Return the cost of a run for its report.

    Args:
        trainer: holds the trained model.
        result: how training ended.
        total_seconds: time that the whole process took.
    """
    split = trainer.prepared.splits["train"]
    return measure_cost(
        trainer.model,
        trainer.context.device,
        tokens=result.state.tokens,
        seconds=result.state.seconds + trainer.caching_seconds,
        total_seconds=total_seconds,
        length=round(float(split.encoded.tokens.lengths.mean())),
        predicted=_share_predicted(trainer),
        replayed=trainer.activations.prefix is not None,
        processes=trainer.context.processes.count,
    )


def _share_predicted(trainer: Trainer) -> float:
    """Return the share of tokens that the vocabulary scores are computed for: few for a masked language model that
    skips the other tokens."""
    if not getattr(trainer.model.config, "sparse_prediction", False):
        return 1.0
    encoded = trainer.prepared.splits["train"].encoded
    tokens = int(encoded.tokens.lengths.sum())
    return min(1.0, trainer.context.task.loss_weight(encoded, np.arange(len(encoded))) / tokens)
