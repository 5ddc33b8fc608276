"""Three ways to train on the same data, for people who do not want to choose a model and a method themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.check.fitting import fitting_tunings
from workbench.check.language import AutoChoice, choose_model, data_languages
from workbench.check.resolving import make_task
from workbench.models.base import VOCABULARY_HEADS
from workbench.spec import RunSpec
from workbench.workspace import Workspace

PlanName = Literal["fast", "balanced", "best"]

_METHODS: dict[PlanName, tuple[str, ...]] = {  # the first that fits the task and the model is used
    "fast": ("head",),
    "balanced": ("lora", "freeze"),
    "best": ("full",),
}


@dataclass(frozen=True)
class Plan:
    """A spec that can be started as it is.

    Attributes:
        name: ``fast``, ``balanced`` or ``best``.
        spec: names the model and the fine-tuning method.
    """

    name: PlanName
    spec: RunSpec


def make_plans(spec: RunSpec, workspace: Workspace, confined: bool = False) -> list[Plan]:
    """Return up to three plans, from the fastest to the one that trains most weights.

    All of them use the model that ``auto`` stands for: the first of the catalogue that fits the task and the language.

    Args:
        spec: names the data and the task; its model and its fine-tuning method are not used.
        workspace: whose uploads.
        confined: allow only files inside the workspace's uploads.

    Returns:
        Fewer than three where the task's head fits fewer methods; none if no model of the catalogue has the head.

    Raises:
        UnknownNameError: there is no such task.
        SpecError: an option of the task is not allowed.
    """
    task = make_task(spec)
    choice = choose_model(task, data_languages(spec.data, task, workspace, confined))
    if not isinstance(choice, AutoChoice):
        return []
    fitting = fitting_tunings(task, choice.source)
    if task.head in VOCABULARY_HEADS:  # it shares the weights of the embeddings, which `head` freezes
        fitting = [method for method in fitting if method != "head"]
    plans = []
    for name, methods in _METHODS.items():
        method = next((each for each in methods if each in fitting), None)
        if method is not None:
            document = {"task": spec.task, "data": spec.data, "model": choice.source, "tuning": method}
            plans.append(Plan(name, RunSpec.model_validate(document)))
    return plans
