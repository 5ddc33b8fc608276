"""A spec made whole: entries resolved, options validated, defaults filled in, and every problem told at once.

problems = check(spec, workspace)        # quick: fetches nothing, loads no model
resolved = resolve(spec, workspace)      # raises SpecError with all problems, or gives the parts ready to use
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from workbench.data.catalogue import hub_rows
from workbench.data.catalogue.entries import DatasetEntry, catalogue
from workbench.data.uploads import confined_path
from workbench.errors import SpecError, UnknownNameError, WorkbenchError
from workbench.models.base import VOCABULARY_HEADS, ModelSource, models, split_source
from workbench.spec import Choice, DataSpec, RunSpec, TrainingSpec, explain_validation
from workbench.tasks.base import Task, tasks
from workbench.tuning.base import Tuning, tunings
from workbench.workspace import Workspace

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Problem:
    """Something to know before a run is started.

    Attributes:
        severity: an ``error`` forbids the run; a ``warning`` or an ``info`` does not.
        field: dotted path into the spec.
        message: what is wrong, what was given, what is allowed.
        hint: what to do.
    """

    severity: Severity
    field: str
    message: str
    hint: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Resolved:
    """A spec with its parts: what it names, made and configured."""

    spec: RunSpec
    task: Task
    model: ModelSource
    tuning: Tuning

    @property
    def learning_rate(self) -> float:
        """The largest one: the spec's own, or what suits tuning and model."""
        given = self.spec.training.learning_rate
        if given is not None:
            return given
        rate = self.model.learning_rate or self.tuning.learning_rate * self.model.lr_scale
        return float(f"{rate:.6g}")  # 3e-4, and not 3.0000000000000003e-4


def resolve(spec: RunSpec, workspace: Workspace, confined: bool = False) -> Resolved:
    """The parts of ``spec``, and the spec with every default written out.

    Args:
        spec: as a user wrote it.
        workspace: where runs, uploads and cached weights are.
        confined: only the catalogue and files inside the workspace may be read.

    Raises:
        SpecError: with every problem in ``problems``.
    """
    problems, task, model, tuning = _look_through(spec, workspace, confined)
    errors = [p for p in problems if p.severity == "error"]
    if errors or task is None or tuning is None or model is None:
        text = "; ".join(f"{p.field}: {p.message}" for p in errors)
        raise SpecError(f"The spec cannot be run: {text}", " ".join(p.hint for p in errors if p.hint), problems)
    whole = spec.model_copy(deep=True)
    for choice, part in ((whole.task, task), (whole.tuning, tuning), (whole.model, model)):
        for name, value in part.config.model_dump(mode="json").items():
            setattr(choice, name, value)
    resolved = Resolved(whole, task, model, tuning)
    whole.training.learning_rate = resolved.learning_rate
    return resolved


def _look_through(
    spec: RunSpec, workspace: Workspace, confined: bool
) -> tuple[list[Problem], Task | None, ModelSource | None, Tuning | None]:
    """Every problem of ``spec``, and those of its parts that could be made."""
    problems: list[Problem] = []
    task = _entry(tasks, "task", "name", spec.task, problems)
    tuning = _entry(tunings, "tuning", "method", spec.tuning, problems)
    model = _model(spec, workspace, confined, problems)
    problems += _data_problems(spec, confined, workspace)
    problems += _training_problems(spec)
    problems += _role_problems(spec, task)
    problems += _catalogue_problems(spec, task)
    problems += _model_problems(spec, task, model, tuning)
    return problems, task, model, tuning


def check(spec: RunSpec, workspace: Workspace, confined: bool = False) -> list[Problem]:
    """Every problem of ``spec``, worst first. An empty list means that it can be started. Nothing is fetched."""
    problems, *_ = _look_through(spec, workspace, confined)
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(problems, key=lambda p: order[p.severity])


def fitting_models(task: Task) -> list[str]:
    """Names of the models that can have the head that ``task`` needs, as far as is known before one is loaded."""
    return [name for name, entry in models.items() if entry.heads is None or task.head in entry.heads]


def fitting_tunings(task: Task, model_name: str) -> list[str]:
    """Names of the tunings that go with ``task`` and with the model ``model_name`` (without what follows the colon)."""
    model = models.get(model_name)
    no_adapter = model.from_scratch or _lacks_head(task, model)
    return [
        name
        for name, entry in tunings.items()
        if not (no_adapter and entry.saves_adapter) and entry().problem_with(task.head) is None
    ]


def _lacks_head(task: Task, model: type[ModelSource] | ModelSource) -> bool:
    """Whether the model would get a new head over its words, which no adapter can carry."""
    can_have = model.heads is None or task.head in model.heads
    return (
        can_have
        and model.pretrained_heads is not None
        and task.head in VOCABULARY_HEADS
        and task.head not in model.pretrained_heads
    )


def fitting_datasets(task: Task) -> list[str]:
    """Names of the data sets of the catalogue that have a column for every role that ``task`` needs."""
    return [name for name, entry in catalogue().datasets.items() if not _lacking_roles(task, entry)]


def _lacking_roles(task: Task, entry: DatasetEntry, given: Collection[str] = ()) -> list[str]:
    """The roles that ``task`` needs and ``entry`` has no column for, by role or by a usual name, but for ``given``."""
    names = {name.casefold() for name in (*entry.columns, *entry.columns.values())}
    return [
        column.role
        for column in task.columns()
        if column.required
        and column.role not in given
        and not names & {name.casefold() for name in (column.role, *column.guesses)}
    ]


def problems_of(error: SpecError) -> list[Problem]:
    """What a document that is no spec has wrong, each as a problem."""
    if error.problems and all(isinstance(problem, Problem) for problem in error.problems):
        return list(error.problems)
    found = [str(problem).partition(": ") for problem in error.problems] or [("", "", error.message)]
    hints = [error.hint] + [""] * (len(found) - 1)
    return [Problem("error", field, text, hint) for (field, _, text), hint in zip(found, hints, strict=True)]


@cache
def presets() -> dict[str, RunSpec]:
    """The specs that come with the workbench, by name."""
    folder = resources.files("workbench") / "presets"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    return {f.name.removesuffix(".yaml"): RunSpec.from_yaml(f.read_text(encoding="utf-8"), f.name) for f in files}


def load_spec(name: str) -> RunSpec:
    """The spec in the YAML file ``name``, or the preset of that name. Raises SpecError, UnknownNameError."""
    path = Path(name)
    if path.suffix in {".yaml", ".yml", ".json"} or os.path.exists(path):  # os.path: a name too long is no file
        return RunSpec.load(path)
    if name in presets():
        return presets()[name].model_copy(deep=True)
    raise UnknownNameError("preset", name, presets(), f"Name a YAML file, or a preset: {', '.join(presets())}.")


# -- parts --------------------------------------------------------------------------------------------------------


def _entry(registry: Any, part: str, key: str, choice: Choice, problems: list[Problem]) -> Any:
    """The registry entry that ``choice`` names, made with its options; None, and problems, when that fails."""
    try:
        entry = registry.get(getattr(choice, key))
        return entry(entry.Config.model_validate(choice.options))
    except UnknownNameError as error:
        problems.append(Problem("error", part, error.message, error.hint))
    except ValidationError as error:
        problems.extend(_option_problems(part, entry, error))
    return None


def _option_problems(part: str, entry: Any, error: ValidationError) -> list[Problem]:
    options = ", ".join(entry.Config.model_fields) or "none"
    return [
        Problem("error", f"{part}.{field}" if field else part, message, f"Options of {entry.name}: {options}.")
        for field, message in explain_validation(error)
    ]


def _model(spec: RunSpec, workspace: Workspace, confined: bool, problems: list[Problem]) -> ModelSource | None:
    from workbench.models.loading import make_source

    try:
        entry = models.get(split_source(spec.model.source)[0])
        source = make_source(spec.model.source, workspace, entry.Config.model_validate(spec.model.options))
    except WorkbenchError as error:
        problems.append(Problem("error", "model", error.message, error.hint))
        return None
    except ValidationError as error:
        problems.extend(_option_problems("model", entry, error))
        return None
    trouble = source.problem(confined)
    if trouble:
        problems.append(Problem("error", "model", trouble))
        return None
    return source


def _data_problems(spec: RunSpec, confined: bool, workspace: Workspace) -> list[Problem]:
    problems = []
    data = spec.data
    for field in ("train", "valid", "test"):
        given = getattr(data, field)
        if given is None or (field == "train" and given in catalogue().datasets):
            continue
        if hub_rows.is_reference(given):
            problems += _hub_problems(field, given, getattr(data.limit, field))
            continue
        try:
            path = confined_path(workspace, given) if confined else Path(given).expanduser()
        except WorkbenchError as error:
            problems.append(Problem("error", f"data.{field}", error.message, error.hint))
            continue
        if not (os.path.isfile(path) or os.path.isdir(path)):
            unknown = UnknownNameError("data set", given, catalogue().datasets)
            problems.append(
                Problem(
                    "error",
                    f"data.{field}",
                    f"{given!r} is neither a file nor a data set of the catalogue.",
                    str(unknown),
                )
            )
    if data.train in catalogue().datasets and (data.valid or data.test):
        problems.append(
            Problem("error", "data.test", "Files for test or valid go with a file for train, not with the catalogue.")
        )
    has_valid, has_test = _has_part(data, "valid"), _has_part(data, "test")
    if not has_test:
        severity: Severity = "warning" if has_valid else "error"
        problems.append(
            Problem(
                severity,
                "data.holdout.test",
                "There is no test part: "
                + (
                    "the figures will be of the part that chooses the weights."
                    if has_valid
                    else "nothing to evaluate on."
                ),
                "Give data.test, or a share for data.holdout.test.",
            )
        )
    if data.holdout.valid + data.holdout.test >= 1:
        problems.append(
            Problem(
                "error", "data.holdout", "valid and test together leave nothing to train on.", "Keep their sum under 1."
            )
        )
    return problems


def _hub_problems(field: str, given: str, limit: int | None) -> list[Problem]:
    """What is wrong with rows of the hub that ``data.<field>`` asks for."""
    try:
        hub_rows.parse_reference(given)
    except WorkbenchError as error:
        return [Problem("error", f"data.{field}", error.message, error.hint)]
    if limit is None:
        message = f"data.{field} is streamed from the hub, and nothing says how many of its rows are wanted."
        return [Problem("error", f"data.limit.{field}", message, f"Give a number: limit: {{{field}: 100000}}.")]
    return []


def _has_part(data: DataSpec, part: str) -> bool:
    """Whether there will be a validation or a test part: given, brought by the catalogue, or held out."""
    brought = catalogue().datasets[data.train].splits if data.train in catalogue().datasets else {}
    return bool(getattr(data, part) or part in brought or getattr(data.holdout, part) > 0)


def _role_problems(spec: RunSpec, task: Task | None) -> list[Problem]:
    if task is None:
        return []
    roles = [column.role for column in task.columns()]
    unknown = [role for role in spec.data.columns if role not in roles]
    hint = f"It has: {', '.join(roles)}."
    return [Problem("error", f"data.columns.{r}", f"{spec.task.name} has no role {r!r}.", hint) for r in unknown]


def _catalogue_problems(spec: RunSpec, task: Task | None) -> list[Problem]:
    """Data of the catalogue that was made for another task and has no column for a role of this one."""
    entry = catalogue().datasets.get(spec.data.train)
    lacking = _lacking_roles(task, entry, spec.data.columns) if task is not None and entry is not None else []
    if task is None or entry is None or not lacking:
        return []
    its_task = f" {spec.data.train} is for task: {entry.task}." if entry.task in tasks else ""
    suits = ", ".join(fitting_datasets(task)) or "none of the catalogue, as it is set"
    return [
        Problem(
            "error",
            "data.train",
            f"{spec.data.train} has no {' and no '.join(lacking)} for {task.name}: it has "
            f"{', '.join(entry.columns.values())}.",
            f"What suits {task.name}: {suits}.{its_task}",
        )
    ]


def _model_problems(
    spec: RunSpec, task: Task | None, model: ModelSource | None, tuning: Tuning | None
) -> list[Problem]:
    """What can be told of the model before it is loaded: its positions, and tunings that need trained weights."""
    if model is None or tuning is None:
        return []
    problems = _position_problems(spec, model, tuning)
    if task is not None and model.heads is not None and task.head not in model.heads:
        message = f"{spec.model.source} cannot do {task.name}: it has no head of the kind {task.head}."
        hint = f"Choose one of: {', '.join(fitting_models(task))}{_or_option(task, model.heads)}."
        problems.append(Problem("error", "model", message, hint))
    reason = task and tuning.problem_with(task.head)
    if reason and task:
        message = f"{tuning.name} cannot tune a model for {task.name}: {reason}."
        problems.append(Problem("error", "tuning", message, "Use tuning: full, lora or freeze."))
    if task and tuning.saves_adapter and _lacks_head(task, model):
        message = (
            f"{spec.model.source} has no head for {task.name}, and an adapter cannot carry a new one: it shares "
            "weights with the embeddings."
        )
        problems.append(Problem("error", "tuning", message, "Use tuning: full, head or freeze."))
    if tuning.num_virtual_tokens() and getattr(task and task.config, "packing", False):
        problems.append(
            Problem(
                "error",
                "task.packing",
                f"{tuning.name} puts virtual tokens before each row, and packing puts several texts into one.",
                "Set task.packing to false, or tune with lora.",
            )
        )
    if not model.from_scratch:
        return problems
    if tuning.saves_adapter:
        problems.append(
            Problem(
                "error",
                "tuning",
                f"{tuning.name} adds to weights that were learned before, and {spec.model.source} begins at random.",
                "Use tuning: full; its result (model: run:RUN) can then be tuned so.",
            )
        )
    elif tuning.name != "full":
        problems.append(
            Problem("warning", "tuning", f"{tuning.name} leaves weights of {spec.model.source} as they were drawn.")
        )
    return problems


def _or_option(task: Task, heads: Collection[str]) -> str:
    """An option of the task with which a model that has these heads can do it, as the end of a hint; empty for none."""
    for name, field in type(task.config).model_fields.items():
        for choice in get_args(field.annotation) if get_origin(field.annotation) is Literal else ():
            if type(task)(task.config.model_copy(update={name: choice})).head in heads:
                return f"; or keep it, with task.{name}: {choice}"
    return ""


def _position_problems(spec: RunSpec, model: ModelSource, tuning: Tuning) -> list[Problem]:
    """Texts, and virtual tokens before them, that are longer than the model has positions for."""
    longest, virtual = model.max_length(), tuning.num_virtual_tokens()
    if longest is None or spec.data.max_length + virtual <= longest:
        return []
    more = f" and {virtual} virtual ones of {tuning.name}" if virtual else ""
    room = longest - virtual
    return [
        Problem(
            "error",
            "data.max_length",
            f"{spec.data.max_length} tokens{more} are more than the {longest} positions of {spec.model.source}.",
            f"Set data.max_length to {room} or less, or model.max_positions to {spec.data.max_length + virtual}."
            if room >= 4
            else f"Set tuning.tokens to less than {longest - 4}.",
        )
    ]


def _training_problems(spec: RunSpec) -> list[Problem]:
    training = spec.training
    problems = []
    if training.early_stopping_patience is not None and not _has_part(spec.data, "valid"):
        problems.append(
            Problem(
                "error",
                "training.early_stopping_patience",
                "Early stopping needs a validation part, and data.holdout.valid is 0.",
            )
        )
    if training.max_tokens_per_batch is not None and training.max_tokens_per_batch < spec.data.max_length:
        problems.append(
            Problem(
                "warning",
                "training.max_tokens_per_batch",
                f"{training.max_tokens_per_batch} tokens are less than one text of data.max_length "
                f"{spec.data.max_length}.",
                "Texts longer than the budget make a batch of their own.",
            )
        )
    problems += _range_test_problems(spec) if spec.kind != "training" else _ending_problems(spec)
    if training.learning_rate is not None and training.learning_rate > 0.1:
        problems.append(
            Problem(
                "warning", "training.learning_rate", f"{training.learning_rate} is far above what Transformers bear."
            )
        )
    return problems


def _ending_problems(spec: RunSpec) -> list[Problem]:
    """Ends that are nearer, or further, than they seem."""
    training = spec.training
    limits = [name for name in ("max_steps", "max_tokens") if getattr(training, name) is not None]
    problems = _minutes_problems(spec)
    if limits and "epochs" not in training.model_fields_set:
        told = " and ".join(f"training.{name}" for name in limits)
        problems.append(
            Problem(
                "info",
                f"training.{limits[0]}",
                f"Training ends after {training.epochs:g} epochs (the default) where {told} would let it go on longer.",
                "Set training.epochs to as many as are to be seen at most.",
            )
        )
    return problems


def _minutes_problems(spec: RunSpec) -> list[Problem]:
    """A run that ends by the clock ends somewhere on its learning rate's way."""
    training = spec.training
    if training.max_minutes is None or training.lr_schedule == "constant":
        return []
    return [
        Problem(
            "info",
            "training.max_minutes",
            f"The {training.lr_schedule} fall of the learning rate is laid over the steps that the other limits give, "
            f"not over {training.max_minutes:g} minutes: when the time is up first, the rate has not come down to "
            "zero.",
            "Set training.epochs, max_steps or max_tokens to about what fits into the time, or training.lr_schedule: "
            "constant.",
        )
    ]


def _range_test_problems(spec: RunSpec) -> list[Problem]:
    """What a range test does not read, though it was set: it has its own length and its own rates."""
    unread = {
        "learning_rate",
        "lr_schedule",
        "epochs",
        "max_steps",
        "max_tokens",
        "max_minutes",
        "early_stopping_patience",
    }
    given = [name for name in TrainingSpec.model_fields if name in spec.training.model_fields_set & unread]
    if not given:
        return []
    names = ", ".join(f"training.{name}" for name in given)
    return [Problem("info", "kind", f"A range test has its own length and rates: {names} will not be read.")]
