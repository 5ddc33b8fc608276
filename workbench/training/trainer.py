"""Trains the model of a prepared run, with everything that a run records on the way."""

from __future__ import annotations

import contextlib
import operator
import time
from functools import partial

import torch

from workbench.errors import SpecError
from workbench.files import append_line
from workbench.metrics import measures
from workbench.notes import BEST
from workbench.runs.recovery import drop_after
from workbench.spec import TrainingSpec
from workbench.training.activation_cache import ActivationCache
from workbench.training.context import RunContext
from workbench.training.core import checkpoint
from workbench.training.core.cost import count_parameters
from workbench.training.core.device import compiles
from workbench.training.core.steps import StepSchedule
from workbench.training.evaluation import Evaluation
from workbench.training.loop import TrainerCallback, TrainingInputs, TrainResult, train
from workbench.training.prepare import Prepared
from workbench.training.processes import SharedCallback, shared_inputs
from workbench.training.splits import EncodedSplit, reported_split
from workbench.tuning.structure import ModelStructure
from workbench.types import Model


class Trainer:
    """Trains the model of a prepared run.

    Args:
        context: the run.
        prepared: its data and model. The fine-tuning method is applied to the model.
        settings: the ``training`` section to use instead of the spec's.
        learning_rate: the peak learning rate to use instead of the spec's.

    Attributes:
        model: the model with the fine-tuning method applied, on the device.
        compiles: whether the model is compiled.
        evaluation: runs the model over splits.
        activations: the cached activations of its frozen layers.
        caching_seconds: time spent on caching activations.
        notes: sentences for the report.
    """

    def __init__(
        self,
        context: RunContext,
        prepared: Prepared,
        settings: TrainingSpec | None = None,
        learning_rate: float | None = None,
    ) -> None:
        self.context = context
        self.prepared = prepared
        self.settings = settings or context.spec.training
        self.learning_rate = learning_rate or context.resolved.learning_rate
        tuned = context.tuning.apply(prepared.model, context.task.peft_type, prepared.loaded.newly_initialized)
        self.model: Model = tuned.to(context.accelerator.device)
        structure = None if context.tuning.saves_adapter else _structure(self.model)
        self.activations = ActivationCache(self.model, structure, self.settings, context.run.folder, context.reporter)
        self.compiles = compiles(self.settings.compile, context.device, self._count_steps)
        self.evaluation = Evaluation(
            context.task,
            self.model,
            prepared.tokenizer,
            context.spec.data.max_length,
            context.accelerator,
            self.compiles,
            self.activations,
            context.processes,
        )
        self.caching_seconds = 0.0
        self.notes: list[str] = []
        trainable, total = count_parameters(self.model)
        context.reporter.info(
            f"{total:,} parameters, {trainable:,} of them trained ({trainable / total:.2%}), "
            f"on {context.device.name} in {context.device.precision}"
        )

    def inputs(self, splits: dict[str, EncodedSplit]) -> TrainingInputs:
        """Return what the loop trains on and evaluates with.

        Args:
            splits: the splits by name; validation is optional.
        """
        train_split, valid = splits["train"], splits.get("valid")
        task, tuning = self.context.task, self.context.tuning
        return TrainingInputs(
            plan=train_split.batches,
            batch=lambda indices: self.evaluation.batch(train_split, indices),
            loss_weight=lambda indices: task.loss_weight(train_split.encoded, indices),
            tokens=train_split.tokens,
            evaluate=(lambda: self.validate(valid)) if valid else None,
            better=operator.lt if task.evaluation_metric in measures.SMALLER_IS_BETTER else operator.gt,
            primary_metric=f"eval/{task.evaluation_metric}",
            set_training=self._set_training,
            lr_multipliers=tuning.lr_multipliers(self.model),
            no_decay=tuning.no_decay,
            before_step=partial(tuning.before_step, self.model),
            after_step=partial(tuning.after_step, self.model),
            forward=task.forward,
            min_steps=task.min_steps(),
        )

    def train(self, inputs: TrainingInputs | None = None, callback: TrainerCallback | None = None) -> TrainResult:
        """Train from the newest checkpoint, or from the start.

        Unless the run was stopped, the model ends with the weights that the spec asks for: the best or the last.

        Args:
            inputs: what to train on; the prepared splits if left out.
            callback: receives the events of the loop; the run's reporter if left out.

        Raises:
            NonFiniteLossError: the loss or the gradient norm is NaN or infinite.
            StorageError: a checkpoint or a row of metrics could not be written.
        """
        began = time.monotonic()
        run, reporter = self.context.run, self.context.reporter
        inputs = inputs or self.inputs(self.prepared.splits)
        if StepSchedule.from_spec(inputs.plan, self.settings, inputs.tokens, inputs.min_steps).repeats_examples():
            self.cache_activations(self.prepared.splits)
        if self.activations.note:
            self.notes.append(self.activations.note)
            self.caching_seconds = time.monotonic() - began
        checkpoints = run.checkpoints_folder
        latest = checkpoint.latest(checkpoints)
        drop_after(run, checkpoint.step_of(latest) if latest else 0)
        if latest:
            reporter.info(f"Resuming from {latest.name}")
        processes = self.context.processes
        callback = callback or reporter
        with self.activations.replaying():
            if self.compiles:
                self.model.compile()
            return train(
                self.model,
                shared_inputs(inputs, processes),
                self.settings,
                self.learning_rate,
                self.context.accelerator,
                SharedCallback(callback, processes) if processes.count > 1 else callback,
                checkpoints,
                resume=True,
            )

    def load_best(self, result: TrainResult) -> int:
        """Load the weights of the best evaluation, if the spec asks for them.

        Args:
            result: how training ended.

        Returns:
            The step whose weights the model has now.

        Raises:
            CheckpointError: the checkpoint of the best step is missing or damaged.
        """
        if result.note:
            self.notes.append(result.note)
        best = result.state.best_step
        if not self.settings.load_best or best is None or best == result.state.step:
            return result.state.step
        checkpoint.load(checkpoint.at_step(self.context.run.checkpoints_folder, best), self.model)
        self.notes.append(BEST.format(step=best))
        return best

    def learns_from_validation(self) -> bool:
        """Return whether the final model has learned from the validation examples as well."""
        return False

    def cache_activations(self, splits: dict[str, EncodedSplit]) -> None:
        """Cache the activations of frozen layers for the splits that training reads more than once.

        Args:
            splits: the splits by name. Nothing is cached for a task whose inputs are resampled in each epoch.
        """
        if not self.context.task.stochastic_inputs:
            repeated = [splits[name] for name in ("train", "valid") if name in splits]
            self.activations.fill(
                repeated, self.evaluation.batch, self.context.accelerator.autocast, self.context.task.forward
            )

    def validate(self, split: EncodedSplit) -> dict[str, float]:
        """Evaluate during training. Appends to ``confusion.jsonl`` and ``samples.jsonl`` where the task has them.

        Args:
            split: the validation split.

        Returns:
            The metrics under their names in ``metrics.jsonl``.
        """
        task, run, step = self.context.task, self.context.run, self.context.reporter.step
        outputs, loss = self.evaluation.outputs(split)
        metrics = self.evaluation.metrics(split, outputs, loss)
        confusion = task.confusion(outputs, split.encoded.targets)
        if confusion is not None:
            run.append_confusion(step, task.labels, confusion.tolist())
        for sample in self.evaluation.samples() if self.context.processes.is_main else ():
            append_line(run.samples_file, {"step": step, **sample})
        return metrics

    def _count_steps(self) -> int:
        train, min_steps = self.prepared.splits["train"], self.context.task.min_steps()
        return StepSchedule.from_spec(train.batches, self.settings, train.tokens, min_steps).total

    def _set_training(self) -> None:
        self.model.train()
        self.activations.disable_dropout()


def evaluate_zero_shot(context: RunContext, prepared: Prepared, splits: dict[str, EncodedSplit]) -> None:
    """Show the outputs of the untrained model to a task that compares with them; do nothing for other tasks.

    Args:
        context: the run.
        prepared: its data and model.
        splits: the splits by name; the one that the report is about is evaluated.
    """
    if not context.task.evaluates_zero_shot:
        return
    context.reporter.phase("evaluating the model before training")
    model = prepared.model.to(context.accelerator.device)
    spec = context.spec
    evaluation = Evaluation(
        context.task,
        model,
        prepared.tokenizer,
        spec.data.max_length,
        context.accelerator,
        processes=context.processes,
    )
    with torch.random.fork_rng():
        outputs, loss = evaluation.outputs(splits[reported_split(splits)])
    context.task.on_untrained_outputs(outputs, loss, context.resolved.model.from_scratch)


def _structure(model: Model) -> ModelStructure | None:
    """Return the structure of a model; None where it has no list of layers."""
    with contextlib.suppress(SpecError):
        return ModelStructure.of(model)
    return None
