"""Which models, fine-tuning methods and data sets fit a task, and the problems of those that do not."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args, get_origin

from workbench.check.data import fitting_datasets
from workbench.models.base import VOCABULARY_HEADS, ModelSource, models
from workbench.problem import Problem
from workbench.spec import RunSpec
from workbench.tasks.base import Task
from workbench.tuning.base import Tuning, tunings

__all__ = ["fit_problems", "fitting_datasets", "fitting_models", "fitting_tunings", "model_problems"]


def fitting_models(task: Task) -> list[str]:
    """Return the names of the models that can have the head of a task, as far as is known before loading.

    Args:
        task: with its options.
    """
    return [name for name, entry in models.items() if entry.heads is None or task.head in entry.heads]


def fitting_tunings(task: Task, model_name: str) -> list[str]:
    """Return the names of the fine-tuning methods that suit a task and a model.

    Args:
        task: with its options.
        model_name: name of a model source, without what follows the colon.
    """
    model = models.get(model_name)
    no_adapter = model.from_scratch or _lacks_head(task, model)
    return [
        name
        for name, entry in tunings.items()
        if not (no_adapter and entry.saves_adapter)
        and (model.has_layers or not entry.needs_layers)
        and entry().problem_with(task.head) is None
    ]


def fit_problems(spec: RunSpec, task: Task, model: ModelSource, tuning: Tuning) -> list[Problem]:
    """Return the problems of a task with a model and a fine-tuning method.

    Args:
        spec: names all three.
        task: with its options.
        model: the model source.
        tuning: the fine-tuning method.
    """
    problems, source = [], spec.model.source
    heads = model.known_heads()
    if heads is not None and task.head not in heads:
        message = f"{source} cannot do {task.name}: it has no head of the kind {task.head}."
        hint = f"Choose one of: {', '.join(fitting_models(task))}{_or_option(task, heads)}."
        problems.append(Problem("error", "model", message, hint))
    reason = tuning.problem_with(task.head)
    if reason:
        message = f"{tuning.name} cannot tune a model for {task.name}: {reason}."
        problems.append(Problem("error", "tuning", message, "Use tuning: full, lora or freeze."))
    if task.head in VOCABULARY_HEADS and 0 < tuning.num_frozen_layers() == model.num_layers():
        message = (
            f"All {tuning.num_frozen_layers()} layers of {source} are frozen, and its head for {task.name} shares the "
            "weights of the embeddings: nothing is left to train."
        )
        problems.append(Problem("error", "tuning.layers", message, "Freeze fewer layers."))
    if tuning.saves_adapter and _lacks_head(task, model):
        message = (
            f"{source} has no head for {task.name}, and an adapter cannot hold a new one: it shares weights with the "
            "embeddings."
        )
        problems.append(Problem("error", "tuning", message, "Use tuning: full, head or freeze."))
    if tuning.num_virtual_tokens() and getattr(task.config, "packing", False):
        message = f"{tuning.name} puts virtual tokens before each row, and packing puts several texts into one row."
        hint = "Set task.packing to false, or use tuning: lora."
        problems.append(Problem("error", "task.packing", message, hint))
    return problems


def model_problems(spec: RunSpec, model: ModelSource, tuning: Tuning) -> list[Problem]:
    """Return the problems of a model with a fine-tuning method: its positions, and whether its weights are trained.

    Args:
        spec: names both.
        model: the model source.
        tuning: the fine-tuning method.
    """
    problems = _position_problems(spec, model, tuning) + _layer_problems(model, tuning)
    if model.from_scratch and tuning.saves_adapter:
        message = f"{tuning.name} adapts trained weights, and {spec.model.source} starts from random weights."
        hint = "Use tuning: full. Its result (model: run:RUN) can then be adapted."
        problems.append(Problem("error", "tuning", message, hint))
    elif model.from_scratch and tuning.name != "full":
        message = f"{tuning.name} leaves some weights of {spec.model.source} at their random initial values."
        problems.append(Problem("warning", "tuning", message))
    return problems


def _lacks_head(task: Task, model: type[ModelSource] | ModelSource) -> bool:
    """Return whether the model would get a new head over its vocabulary, which no adapter can hold."""
    can_have = model.heads is None or task.head in model.heads
    return (
        can_have
        and model.pretrained_heads is not None
        and task.head in VOCABULARY_HEADS
        and task.head not in model.pretrained_heads
    )


def _or_option(task: Task, heads: Collection[str]) -> str:
    """Return the end of a hint: an option of the task with which a model that has these heads can do it."""
    for name, field in type(task.config).model_fields.items():
        for choice in get_args(field.annotation) if get_origin(field.annotation) is Literal else ():
            if type(task)(task.config.model_copy(update={name: choice})).head in heads:
                return f"; or keep it, with task.{name}: {choice}"
    return ""


def _layer_problems(model: ModelSource, tuning: Tuning) -> list[Problem]:
    """Return a problem if more layers are frozen than the model has."""
    if tuning.needs_layers and not model.has_layers:
        message = f"{tuning.name} freezes layers, and {model.name} has none."
        return [Problem("error", "tuning", message, "Use tuning: full.")]
    frozen, count = tuning.num_frozen_layers(), model.num_layers()
    if count is None or frozen <= count:
        return []
    message = f"tuning.layers is {frozen}, but the model has {count} layers."
    return [Problem("error", "tuning.layers", message, f"Choose 0 to {count}. To freeze all layers, use tuning: head.")]


def _position_problems(spec: RunSpec, model: ModelSource, tuning: Tuning) -> list[Problem]:
    """Return a problem if texts, with the virtual tokens before them, are longer than the model's positions."""
    positions, virtual = model.max_length(), tuning.num_virtual_tokens()
    needed = spec.data.max_length + virtual
    if positions is None or needed <= positions:
        return []
    more = f" and {virtual} virtual ones of {tuning.name}" if virtual else ""
    message = f"{spec.data.max_length} tokens{more} are more than the {positions} positions of {spec.model.source}."
    hint = f"Set tuning.tokens to less than {positions - 4}."
    if positions - virtual >= 4:
        hint = f"Set data.max_length to {positions - virtual} or less"
        hint += f", or model.max_positions to {needed}." if model.from_scratch else "."
    return [Problem("error", "data.max_length", message, hint)]
