"""Resolves a spec: makes its task, model source and fine-tuning method, and fills in every default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from workbench.check.contents import check_contents
from workbench.check.data import catalogue_problems, data_problems
from workbench.check.fitting import fit_problems, model_problems
from workbench.check.judges import judge_label_problems, judge_problems
from workbench.check.language import AUTO, choose_model, data_languages, language_problems
from workbench.check.lengths import length_problems
from workbench.check.training import training_problems
from workbench.errors import RequestError, SpecError, UnknownNameError, WorkbenchError
from workbench.models.base import ModelSource, models, split_source
from workbench.models.loading import make_source
from workbench.problem import Problem
from workbench.registry import Registry
from workbench.spec import Choice, RunSpec, TuningChoice, explain_validation
from workbench.tasks.base import Task, tasks
from workbench.tuning.base import Tuning, tunings
from workbench.workspace import Workspace

EntryT = TypeVar("EntryT", Task, Tuning)


@dataclass(frozen=True)
class Resolved:
    """A spec with everything that it names.

    Attributes:
        spec: the spec with every default filled in.
        task: its task.
        model: its model source.
        tuning: its fine-tuning method.
    """

    spec: RunSpec
    task: Task
    model: ModelSource
    tuning: Tuning

    @property
    def learning_rate(self) -> float:
        """The peak learning rate: the spec's own, or the default of the fine-tuning method and the model."""
        if self.spec.training.learning_rate is not None:
            return self.spec.training.learning_rate
        rate = self.model.learning_rate or self.tuning.learning_rate * self.model.lr_scale
        return float(f"{rate:.6g}")  # 3e-4, not 3.0000000000000003e-4


@dataclass
class _Parts:
    """What a spec names, as far as it could be made, and every problem; the spec names a model instead of ``auto``."""

    spec: RunSpec
    problems: list[Problem]
    task: Task | None
    model: ModelSource | None
    tuning: Tuning | None


def check(spec: RunSpec, workspace: Workspace, confined: bool = False, whole: bool = False) -> list[Problem]:
    """Return every problem of a spec and of its data, errors first. Downloads nothing and loads no model.

    Of large files the first rows are read; data that is not on this machine is not.

    Args:
        spec: as a user wrote it.
        workspace: where runs, uploads and cached weights are.
        confined: allow only the catalogue and files inside the workspace's uploads.
        whole: read all rows, and download data that is not on this machine.
    """
    parts = _examine(spec, workspace, confined)
    problems, task = parts.problems, parts.task
    if task is not None and not any(_concerns_data(problem) for problem in problems):
        result = check_contents(parts.spec.data, task, parts.model, workspace, confined, whole)
        problems = problems + result.problems(parts.spec.data)
        problems += judge_label_problems(task, result.labels, workspace)
    if parts.model is not None:
        try:
            parts.model.require_fetchable()
        except WorkbenchError as error:
            problems = [*problems, Problem("error", "model", error.message, error.hint)]
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(problems, key=lambda problem: order[problem.severity])


def require_usable(resolved: Resolved, workspace: Workspace, confined: bool = False) -> None:
    """Raise the error with which a run would end before its first step, as far as its data and its model show it.

    Args:
        resolved: a resolved spec.
        workspace: where runs, uploads and cached weights are.
        confined: allow only the catalogue and files inside the workspace's uploads.

    Raises:
        DataError: the data cannot be used.
        SpecError: its options do not fit the data.
        FetchError: the data or the model is not on this machine, and cannot be fetched.
    """
    try:
        resolved.model.require_fetchable()
        result = check_contents(resolved.spec.data, resolved.task, resolved.model, workspace, confined)
        if result.error is not None:
            raise result.error
        for problem in judge_label_problems(resolved.task, result.labels, workspace):
            raise SpecError(f"The spec cannot be run: {problem.field}: {problem.message}", problem.hint, [problem])
    except WorkbenchError as error:
        error.exit_code = RequestError.exit_code  # nothing was started
        raise


def _concerns_data(problem: Problem) -> bool:
    """Return whether the data cannot be read because of a problem."""
    section = problem.field.partition(".")[0]
    return problem.severity == "error" and section in ("data", "task") and problem.field != "data.max_length"


def resolve(spec: RunSpec, workspace: Workspace, confined: bool = False) -> Resolved:
    """Return a spec with every default filled in, and everything that it names.

    Args:
        spec: as a user wrote it.
        workspace: where runs, uploads and cached weights are.
        confined: allow only the catalogue and files inside the workspace's uploads.

    Raises:
        SpecError: the spec cannot be run; ``problems`` holds every problem.
    """
    parts = _examine(spec, workspace, confined)
    spec = parts.spec
    task, model, tuning = parts.task, parts.model, parts.tuning
    errors = [problem for problem in parts.problems if problem.severity == "error"]
    if errors or task is None or tuning is None or model is None:
        text = "; ".join(f"{problem.field}: {problem.message}" for problem in errors)
        hints = " ".join(problem.hint for problem in errors if problem.hint)
        raise SpecError(f"The spec cannot be run: {text}", hints, parts.problems)
    complete = spec.model_copy(deep=True)
    choices: tuple[tuple[Choice, Task | Tuning | ModelSource], ...] = (
        (complete.task, task),
        (complete.tuning, tuning),
        (complete.model, model),
    )
    for choice, entry in choices:
        for name, value in entry.config.model_dump(mode="json").items():
            setattr(choice, name, value)
    resolved = Resolved(complete, task, model, tuning)
    complete.training.learning_rate = resolved.learning_rate
    return resolved


def make_task(spec: RunSpec) -> Task:
    """Return the task of a spec with its options.

    Args:
        spec: names the task and its options.

    Raises:
        UnknownNameError: there is no such task.
        SpecError: an option is not allowed.
    """
    kind = tasks.get(spec.task.name)
    try:
        return kind(kind.Config.model_validate(spec.task.options))
    except ValidationError as error:
        problems = "; ".join(f"task.{field}: {message}" for field, message in explain_validation(error))
        options = ", ".join(kind.Config.model_fields) or "none"
        raise SpecError(f"The options cannot be used: {problems}.", f"Options of {kind.name}: {options}.") from error


def _examine(spec: RunSpec, workspace: Workspace, confined: bool) -> _Parts:
    """Make what a spec names, and collect every problem."""
    problems: list[Problem] = []
    task = _make_entry(tasks, "task", spec.task.name, spec.task, problems)
    if spec.model.source == AUTO and task is not None:
        spec = _with_model(spec, task, workspace, confined, problems)
    tuning = _make_entry(tunings, "tuning", spec.tuning.method, spec.tuning, problems)
    model = _make_model(spec, workspace, confined, problems)
    problems += data_problems(spec.data, confined, workspace)
    problems += training_problems(spec)
    if task is not None:
        problems += task.problems(spec)
        problems += catalogue_problems(spec.data, task)
        problems += judge_problems(task, workspace)
    if tuning is not None:
        problems += tuning.problems(spec)
    if model is not None and tuning is not None:
        problems += model.problems(spec)
        if task is not None:
            problems += language_problems(spec, task, model, workspace, confined)
            problems += length_problems(spec, task, model, workspace, confined)
        problems += model_problems(spec, model, tuning)
        if task is not None:
            problems += fit_problems(spec, task, model, tuning)
    return _Parts(spec, problems, task, model, tuning)


def _with_model(spec: RunSpec, task: Task, workspace: Workspace, confined: bool, problems: list[Problem]) -> RunSpec:
    """Return a spec with the model that ``auto`` stands for; the reason is added to its notes and the problems."""
    choice = choose_model(task, data_languages(spec.data, task, workspace, confined))
    if isinstance(choice, Problem):
        problems.append(choice)
        return spec
    chosen, reason = spec.model_copy(deep=True), choice.reason
    chosen.model.source = choice.source
    if "tuning" not in spec.model_fields_set and choice.tuning != spec.tuning.method:
        chosen.tuning = TuningChoice(method=choice.tuning)
        reason += f" It is trained with {choice.tuning}."
    problems.append(Problem("info", "model", reason))
    chosen.notes = "\n".join(filter(None, (spec.notes, reason)))
    return chosen


def _make_entry(
    registry: Registry[EntryT], section: str, name: str, choice: Choice, problems: list[Problem]
) -> EntryT | None:
    """Make an entry of a registry with its options; None, and problems, if that fails."""
    try:
        entry = registry.get(name)
    except UnknownNameError as error:
        problems.append(Problem("error", section, error.message, error.hint))
        return None
    try:
        return entry(entry.Config.model_validate(choice.options))
    except ValidationError as error:
        problems.extend(_option_problems(section, entry, error))
    return None


def _make_model(spec: RunSpec, workspace: Workspace, confined: bool, problems: list[Problem]) -> ModelSource | None:
    """Make the model source; None, and problems, if that fails."""
    if spec.model.source == AUTO:
        return None  # its problem is listed: the task is wrong, or no model fits it
    try:
        entry = models.get(split_source(spec.model.source)[0])
        source = make_source(spec.model.source, workspace, entry.Config.model_validate(spec.model.options))
    except WorkbenchError as error:
        problems.append(Problem("error", "model", error.message, error.hint))
        return None
    except ValidationError as error:
        problems.extend(_option_problems("model", entry, error))
        return None
    reason = source.problem(confined)
    if reason:
        problems.append(Problem("error", "model", reason))
        return None
    return source


def _option_problems(section: str, entry: type[Task | Tuning | ModelSource], error: ValidationError) -> list[Problem]:
    """Return a problem for each option that does not validate."""
    options = ", ".join(entry.Config.model_fields) or "none"
    return [
        Problem("error", f"{section}.{field}" if field else section, message, f"Options of {entry.name}: {options}.")
        for field, message in explain_validation(error)
    ]
