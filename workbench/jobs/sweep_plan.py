"""The plan of a sweep: a spec, the fields that vary, and how their values are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from workbench.check import Problem, check, require_usable, resolve
from workbench.errors import RequestError, SpecError
from workbench.jobs.sweep_space import MAX_TRIALS, Axis, grid, parse_over
from workbench.spec import RunSpec, SpecModel, explain_validation
from workbench.spec_versions import SCHEMA_VERSION, upgrade, upgrade_paths
from workbench.system.opening import read_limited
from workbench.types import Json
from workbench.workspace import Workspace
from workbench.yaml_text import dump_yaml, load_yaml

Method = Literal["grid", "random", "tpe"]
DEFAULT_TRIALS = 20  # of a search whose plan does not say how many
_VALUES_CHECKED = 20  # of each field, before a sweep begins
_FIXED = {"group", "trial", "name", "schema_version", "kind"}  # fields that cannot vary


class SweepPlan(SpecModel):
    """What a sweep does: a spec, the fields that vary, and how the values are chosen."""

    name: str | None = Field(None, max_length=60, description="Your name for the sweep. Default: the spec's.")
    spec: RunSpec = Field(description="The run that all trials begin with.")
    over: dict[str, Axis] = Field(
        default_factory=dict,
        description="The fields that vary, each with its values: 1e-5..1e-3:log, or 4,8,16. With two seeds or more it "
        "may be empty: the same run again with each seed.",
    )
    method: Method = Field(
        "tpe",
        description="grid: every combination. random: values chosen at random. tpe: learns from the trials before "
        "(Optuna).",
    )
    trials: int | None = Field(
        None, ge=1, le=MAX_TRIALS, description="Number of trials. Default: 20, or every combination of a grid."
    )
    seeds: list[int] = Field(
        default_factory=lambda: [0],
        min_length=1,
        max_length=100,
        description="Seeds of each trial; its value is their mean.",
    )
    prune: bool = Field(
        False,
        description="Stop a trial when its first seed is worse than the median of the trials before it at the same "
        "evaluation. Its other seeds start when the first has ended.",
    )
    metric: str | None = Field(
        None, max_length=80, description="The validation metric to improve, as the curves name it. Default: the task's."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of the search: the same seed proposes the same trials.")

    @model_validator(mode="before")
    @classmethod
    def _one_trial_without_fields(cls, document: Any) -> Any:
        """If only the seed varies, there is nothing to choose and nothing to prune."""
        if isinstance(document, Mapping) and not document.get("over"):
            return {**document, "over": {}, "method": "grid", "trials": None, "prune": False}
        return document

    @field_validator("over", mode="before")
    @classmethod
    def _read_over(cls, value: Any) -> dict[str, Axis]:
        try:
            return parse_over(value)
        except RequestError as error:
            raise ValueError(f"{error.message} {error.hint}") from error

    @field_validator("seeds", mode="before")
    @classmethod
    def _count_seeds(cls, value: Any) -> Any:
        return list(range(value)) if isinstance(value, int) and not isinstance(value, bool) and value < 1000 else value

    @model_validator(mode="after")
    def _is_consistent(self) -> SweepPlan:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed is listed twice")
        if not self.over and len(self.seeds) < 2:
            raise ValueError(
                "a sweep needs at least one field that varies, or at least two seeds, but has neither. "
                "Write: --over training.learning_rate=1e-5..1e-3:log, or --seeds 5"
            )
        if "training.seed" in self.over:
            raise ValueError("training.seed varies by `seeds`: say how many, or which")
        if _FIXED & set(self.over):
            raise ValueError("name, group, trial, kind and schema_version cannot vary")
        return self

    @classmethod
    def parse(cls, document: Any, origin: str = "the sweep") -> SweepPlan:
        """Read a plan from a dictionary.

        Args:
            document: its fields; ``spec`` may be the name of a preset or a file, or a whole spec.
            origin: what error messages call it.

        Raises:
            SpecError: names every wrong field.
            RequestError: a grid without numbers, or too large.
        """
        from workbench.check import load_spec

        if not isinstance(document, Mapping):
            raise SpecError(f"{origin} is not a sweep: a mapping with spec and over is needed.", "")
        document = dict(document)
        if isinstance(document.get("spec"), str):
            document["spec"] = load_spec(document["spec"])
        elif isinstance(document.get("spec"), Mapping):
            document["spec"] = RunSpec.parse(document["spec"], f"spec of {origin}")
        try:
            plan = cls.model_validate(document)
        except ValidationError as error:
            lines = [f"{field or 'the sweep'}: {message}" for field, message in explain_validation(error)]
            raise SpecError(f"{origin} cannot be used: " + "; ".join(lines), "", lines) from error
        plan.size()  # a grid that cannot be made is refused here
        return plan

    @classmethod
    def load(cls, path: Path) -> SweepPlan:
        """Read a plan that a user wrote from a YAML file.

        Args:
            path: the file.

        Raises:
            SpecError: it cannot be read, or is not a plan.
        """
        return cls.parse(read_yaml(path), str(path))

    @classmethod
    def load_stored(cls, path: Path) -> SweepPlan:
        """Read the plan of a sweep's folder, whatever version of the workbench wrote it.

        Args:
            path: the file.

        Raises:
            SpecError: it is missing or damaged.
        """
        try:
            text = read_limited(path).decode("utf-8")
        except (OSError, ValueError) as error:
            raise SpecError(f"The sweep {path} cannot be read: {' '.join(str(error).split())}.", "") from error
        return cls.parse(_upgraded(load_yaml(text, f"The sweep {path}")), str(path))

    def to_yaml(self) -> str:
        """Return the plan as a file that ``load`` reads."""
        document = self.model_dump(mode="json", exclude={"spec", "over"})
        document["spec"] = {"schema_version": SCHEMA_VERSION, **self.spec.model_dump(mode="json", exclude_unset=True)}
        document["over"] = {field: axis.model_dump(mode="json", exclude_none=True) for field, axis in self.over.items()}
        return dump_yaml(document)

    def combinations(self) -> list[dict[str, Json]]:
        """Return all trials of a grid; none for the other methods, which choose trial by trial."""
        return grid(self.over) if self.method == "grid" else []

    def size(self) -> int:
        """Return how many trials there will be."""
        if self.method == "grid":
            count = len(self.combinations())
            return min(self.trials or count, count)
        return self.trials or DEFAULT_TRIALS

    def spec_of(self, values: Mapping[str, Json], number: int, seed: int, group: str) -> RunSpec:
        """Return the spec of one run.

        Args:
            values: those of the fields that vary.
            number: index of the trial, from 0.
            seed: seed of the run.
            group: the sweep's name.

        Raises:
            SpecError: the values make no spec.
        """
        words = [f"t{number}"] if self.over else []
        end = "-".join([*words, f"s{seed}"] if len(self.seeds) > 1 else words)
        own = {"name": f"{group[:60]}-{end}", "group": group, "trial": number, "training.seed": seed}
        return self.spec.changed({**values, **own})


def read_yaml(path: Path) -> Any:
    """Return the document in a YAML file.

    Args:
        path: the file.

    Raises:
        SpecError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SpecError(f"The sweep {path} cannot be read: {' '.join(str(error).split())}.", "") from error
    return load_yaml(text, f"The sweep {path}")


def _upgraded(document: Any) -> Any:
    """Return a stored plan with the current field names; in one of version 1 the spec has no schema version."""
    spec = document.get("spec") if isinstance(document, Mapping) else None
    if not isinstance(spec, Mapping):
        return document
    if "schema_version" in spec:
        return {**document, "spec": upgrade(spec)}
    return {**document, "spec": upgrade({**spec, "version": 1}), "over": upgrade_paths(document.get("over") or {})}


def validation_metric(spec: RunSpec) -> str:
    """Return the validation metric by which runs of a spec choose their weights, such as ``eval/accuracy``.

    Args:
        spec: whose task decides.
    """
    from workbench.tasks.base import tasks

    entry = tasks.get(spec.task.name)
    return f"eval/{entry(entry.Config.model_validate(spec.task.options)).evaluation_metric}"


def problems_of_plan(plan: SweepPlan, workspace: Workspace, confined: bool = False) -> list[Problem]:
    """Return what is wrong with the values of the first field that has wrong ones, or with the spec itself.

    Args:
        plan: each value of it is checked in a spec of its own.
        workspace: where it will run.
        confined: its runs may read the workspace's uploads only.

    Raises:
        SpecError: a value makes no spec at all.
    """
    values_of = {field: axis.values or [axis.low, axis.high] for field, axis in plan.over.items()}
    first = {field: values[0] for field, values in values_of.items()}
    tried = [[{**first, field: value} for value in values[:_VALUES_CHECKED]] for field, values in values_of.items()]
    for values_of_one_field in tried or [[{}]]:
        problems: list[Problem] = []
        for values in values_of_one_field:
            spec = plan.spec_of(values, 0, plan.seeds[0], "sweep")
            problems += [problem for problem in check(spec, workspace, confined) if problem.severity == "error"]
        if problems:
            return list(dict.fromkeys(problems))
    return []


def refuse_unrunnable(plan: SweepPlan, workspace: Workspace, confined: bool) -> None:
    """Raise the problems of a plan.

    Args:
        plan: see :func:`problems_of_plan`.
        workspace: where it will run.
        confined: its runs may read the workspace's uploads only.

    Raises:
        SpecError: there are some.
        DataError: the data cannot be used.
        FetchError: the hub does not have the data, or cannot be reached.
    """
    problems = problems_of_plan(plan, workspace, confined)
    if problems:
        if all(problem.field.partition(".")[0] == "data" for problem in problems):
            first = {field: (axis.values or [axis.low])[0] for field, axis in plan.over.items()}
            spec = plan.spec_of(first, 0, plan.seeds[0], "sweep")
            require_usable(resolve(spec, workspace, confined), workspace, confined)  # raises the data's own error
        text = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
        raise SpecError(f"The sweep cannot run: {text}", problems[0].hint, problems)
