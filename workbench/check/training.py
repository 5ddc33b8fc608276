"""Problems of a spec's training settings."""

from __future__ import annotations

from workbench.check.data import has_split
from workbench.check.devices import device_problems
from workbench.problem import Problem
from workbench.spec import RunSpec, TrainingSpec
from workbench.tasks.base import tasks

HIGH_LEARNING_RATE = 0.1

# Settings of ``training`` that a range test replaces with its own.
_NOT_IN_RANGE_TEST = {
    "learning_rate",
    "lr_schedule",
    "epochs",
    "max_steps",
    "max_tokens",
    "max_minutes",
    "early_stopping_patience",
}


def training_problems(spec: RunSpec) -> list[Problem]:
    """Return the problems of the ``training`` section.

    Args:
        spec: the whole spec.
    """
    training, problems = spec.training, []
    if training.early_stopping_patience is not None and not has_split(spec.data, "valid"):
        message = "Early stopping needs a validation split, and data.holdout.valid is 0."
        problems.append(Problem("error", "training.early_stopping_patience", message))
    budget, max_length = training.max_tokens_per_batch, spec.data.max_length
    if budget is not None and budget < max_length:
        message = f"{budget} tokens per batch are less than one text of data.max_length {max_length}."
        hint = "Longer texts will each form a batch of their own."
        problems.append(Problem("warning", "training.max_tokens_per_batch", message, hint))
    weighing = _weighing_tasks() if training.class_weights is not None else []
    if training.class_weights is not None and spec.task.name in tasks.names() and spec.task.name not in weighing:
        message = f"{spec.task.name} has no class weights."
        hint = f"Remove it. Tasks with class weights: {', '.join(weighing)}."
        problems.append(Problem("error", "training.class_weights", message, hint))
    problems += device_problems(training)
    problems += _range_test_problems(spec) if spec.kind != "training" else _limit_problems(training)
    if training.learning_rate is not None and training.learning_rate > HIGH_LEARNING_RATE:
        message = f"{training.learning_rate} is far above the usual learning rates of Transformers."
        problems.append(Problem("warning", "training.learning_rate", message))
    return problems


def _weighing_tasks() -> list[str]:
    return [name for name in tasks.names() if tasks.get(name).weighs_classes]


def _limit_problems(training: TrainingSpec) -> list[Problem]:
    """Return what may surprise about when a run ends."""
    problems = []
    if training.max_minutes is not None and training.lr_schedule != "constant":
        message = (
            f"The {training.lr_schedule} schedule covers the steps that the other limits allow, not "
            f"{training.max_minutes:g} minutes: if the time is up first, the learning rate has not fallen to zero."
        )
        hint = (
            "Set training.epochs, max_steps or max_tokens to about what fits into the time, or use "
            "training.lr_schedule: constant."
        )
        problems.append(Problem("info", "training.max_minutes", message, hint))
    limits = [f"training.{name}" for name in ("max_steps", "max_tokens") if getattr(training, name) is not None]
    if limits and training.epochs is None:
        message = (
            f"Training ends after the default number of epochs (3 to 20), even where {' and '.join(limits)} would "
            "allow more."
        )
        problems.append(Problem("info", limits[0], message, "Set training.epochs to the most epochs you want."))
    return problems


def _range_test_problems(spec: RunSpec) -> list[Problem]:
    """Return the settings that were set, and that a range test ignores."""
    fields = spec.training.model_fields_set & _NOT_IN_RANGE_TEST
    ignored = [f"training.{name}" for name in TrainingSpec.model_fields if name in fields]
    if not ignored:
        return []
    message = f"A range test has its own length and learning rates: it ignores {', '.join(ignored)}."
    return [Problem("info", "kind", message)]
