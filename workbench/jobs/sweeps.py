"""A sweep: a group of ordinary runs over the values of some fields, in search of the best.

    WORKBENCH_HOME/sweeps/NAME/
        sweep.yaml    what was asked for; written once
        state.json    each trial: its values, its runs, what became of it       (replaced atomically)
        study.db      Optuna's storage: what proposes the next trial
        sweep.lock    held by whoever changes state.json

A trial is one choice of values; each of its seeds is a run like any other, whose spec names the sweep (``group``) and
the ``trial``. The worker drives sweeps (:mod:`workbench.jobs.sweep_driver`), a few runs ahead: other runs find a place
between them. What counts is the figure on the *validation* part: the test part stays unseen, for the final word.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from workbench.check import Problem, check
from workbench.errors import RequestError, SpecError, UnknownNameError
from workbench.files import Lock, inside, read_json, safe_name, slug, storage_errors, write_json, write_text
from workbench.jobs.queue import stop, with_absolute_paths
from workbench.jobs.sweep_space import MOST_TRIALS, Axis, grid, parse_over
from workbench.jobs.sweep_study import Study, importance, optuna_
from workbench.jobs.worker import ensure_worker
from workbench.metrics.measures import SMALLER_IS_BETTER
from workbench.runs.run import Run
from workbench.spec import RunSpec, SpecModel, explain_validation
from workbench.spec_versions import SCHEMA_VERSION, upgrade, upgrade_paths
from workbench.workspace import Workspace

Method = Literal["grid", "random", "tpe"]
TRIALS = 20  # of a search that is not told how many
OPEN = ("waiting", "running")  # states of a trial that has not ended
_VALUES_CHECKED = 20  # of each field, before a sweep begins


class SweepPlan(SpecModel):
    """What a sweep does: a spec, the fields that vary, and how the values are chosen."""

    name: str | None = Field(None, max_length=60, description="Your name for the sweep; the spec's if left out.")
    spec: RunSpec = Field(description="The run that all trials begin with.")
    over: dict[str, Axis] = Field(
        default_factory=dict,
        description="The fields that vary, each with its values: 1e-5..1e-3:log, or 4,8,16. With two seeds or more it "
        "may be empty: the same run again with each seed.",
    )
    method: Method = Field(
        "tpe", description="grid: every combination. random: by chance. tpe: learns from the trials before (Optuna)."
    )
    trials: int | None = Field(
        None, ge=1, le=MOST_TRIALS, description="How many trials; empty for 20, or a grid's every combination."
    )
    seeds: list[int] = Field(
        default_factory=lambda: [0],
        min_length=1,
        max_length=100,
        description="Seeds of each trial; its value is their mean.",
    )
    prune: bool = Field(
        False,
        description="Give a trial up when its first seed is worse than the median of the trials before it at the same "
        "evaluation. Its other seeds begin when the first has ended.",
    )
    metric: str | None = Field(
        None, max_length=80, description="The validation figure to improve, as the curves name it; the task's if empty."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Of the search: the same seed proposes the same trials.")

    @model_validator(mode="before")
    @classmethod
    def _is_one_trial_without_fields(cls, given: Any) -> Any:
        """Where nothing varies but the seed there is nothing to choose and nothing to give up."""
        if isinstance(given, Mapping) and not given.get("over"):
            return {**given, "over": {}, "method": "grid", "trials": None, "prune": False}
        return given

    @field_validator("over", mode="before")
    @classmethod
    def _read_over(cls, given: Any) -> Any:
        try:
            return parse_over(given)
        except RequestError as error:
            raise ValueError(f"{error.message} {error.hint}") from error

    @field_validator("seeds", mode="before")
    @classmethod
    def _count_seeds(cls, given: Any) -> Any:
        return list(range(given)) if isinstance(given, int) and not isinstance(given, bool) and given < 1000 else given

    @model_validator(mode="after")
    def _fits(self) -> SweepPlan:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed is given twice")
        if not self.over and len(self.seeds) < 2:
            raise ValueError(
                "a sweep varies one field or more, or has two seeds or more, and neither is given. "
                "Write: --over training.learning_rate=1e-5..1e-3:log, or --seeds 5"
            )
        if "training.seed" in self.over:
            raise ValueError("training.seed varies by `seeds`: say how many, or which")
        if {"group", "trial", "name", "schema_version", "kind"} & set(self.over):
            raise ValueError("name, group, trial, kind and schema_version cannot vary")
        return self

    @classmethod
    def parse(cls, document: Any, origin: str = "the sweep") -> SweepPlan:
        """A plan from a dictionary; ``spec`` may be the name of a preset or a file, or a whole spec.

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
        """A plan from a YAML file. Raises SpecError when it cannot be read or is none."""
        return cls.parse(_read_yaml(path), str(path))

    def to_yaml(self) -> str:
        """The plan as a file that ``load`` reads."""
        document = self.model_dump(mode="json", exclude={"spec", "over"})
        document["spec"] = {
            "schema_version": SCHEMA_VERSION,
            **self.spec.model_dump(mode="json", exclude_unset=True),
        }
        document["over"] = {field: axis.model_dump(mode="json", exclude_none=True) for field, axis in self.over.items()}
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)

    def combinations(self) -> list[dict[str, Any]]:
        """All trials of a grid; empty for the other methods, which choose as they go."""
        return grid(self.over) if self.method == "grid" else []

    def size(self) -> int:
        """How many trials there will be."""
        if self.method == "grid":
            count = len(self.combinations())
            return min(self.trials or count, count)
        return self.trials or TRIALS

    def spec_of(self, values: Mapping[str, Any], number: int, seed: int, group: str) -> RunSpec:
        """The spec of one run. Raises SpecError when the values are no spec."""
        parts = [f"t{number}"] if self.over else []
        end = "-".join([*parts, f"s{seed}"] if len(self.seeds) > 1 else parts)
        own = {"name": f"{group[:60]}-{end}", "group": group, "trial": number, "training.seed": seed}
        return self.spec.changed({**values, **own})


def _read_yaml(path: Path) -> Any:
    """Return the document in a YAML file. Raises SpecError when it cannot be read."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SpecError(f"The sweep {path} cannot be read: {' '.join(str(error).split())}.", "") from error


def _upgrade_plan(document: Any) -> Any:
    """Return the plan of a sweep's folder with the field names of the current version.

    A plan that an older workbench wrote has no schema version in its spec.
    """
    spec = document.get("spec") if isinstance(document, Mapping) else None
    if not isinstance(spec, Mapping) or "schema_version" in spec:
        return document
    return {**document, "spec": upgrade({**spec, "version": 1}), "over": upgrade_paths(document.get("over") or {})}


def validation_metric(spec: RunSpec) -> str:
    """The validation figure that runs of this spec choose their weights by: ``eval/accuracy``."""
    from workbench.tasks.base import tasks

    entry = tasks.get(spec.task.name)
    return f"eval/{entry(entry.Config.model_validate(spec.task.options)).evaluation_metric}"


def trial_line(trial: Mapping[str, Any]) -> str:
    """Describe a trial in one line: its number, its value or state, and the values of its fields."""
    values = ", ".join(f"{field}={short(value)}" for field, value in trial["values"].items())
    value = f"{trial['value']:.4f}" if trial["value"] is not None else trial["state"]
    return f"trial {trial['number']}: {value}   {values}"


def short(value: Any) -> str:
    """Return a value of a field as text, a number with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Sweep:
    """A handle on a sweep's folder. It holds no state: what it tells is what the folder says now."""

    folder: Path

    # -- making and finding ------------------------------------------------------------------------------------

    @classmethod
    def create(cls, plan: SweepPlan, workspace: Workspace, confined: bool = False, start: bool = True) -> Sweep:
        """Check a plan, write it down, and have the worker begin.

        Args:
            plan: what to do. Relative file names in its spec count from the current folder.
            workspace: where.
            confined: its runs may read the workspace's uploads only.
            start: whether to start the worker if none runs.

        Raises:
            SpecError: a value cannot be run; nothing was started.
            MissingPackageError: Optuna is not installed.
            StorageError: the disk is full or read-only.
        """
        optuna_()
        plan = plan.model_copy(
            update={"spec": with_absolute_paths(plan.spec.model_copy(deep=True), workspace, confined)}
        )
        _refuse_what_cannot_run(plan, workspace, confined)
        metric = plan.metric or validation_metric(plan.spec)
        first = {
            "state": "running",
            "created": datetime.now(UTC).isoformat(),
            "metric": metric,
            "maximize": metric.removeprefix("eval/") not in SMALLER_IS_BETTER,
            "confined": confined,
            "error": None,
            "trials": [],
        }
        sweep = cls(_new_folder(workspace, slug(plan.name or plan.spec.name or _usual_name(plan))))
        write_text(sweep.folder / "sweep.yaml", plan.to_yaml())
        write_json(sweep.folder / "state.json", first)  # last: what has a state is whole
        if start:
            ensure_worker(workspace)
        return sweep

    @classmethod
    def open(cls, name: str, workspace: Workspace) -> Sweep:
        """The sweep of this name. Raises UnknownNameError."""
        folder = folder_of(workspace)
        inside(folder, safe_name(name, "sweep name"), "sweep")
        found = cls(folder / name)
        if not (found.folder / "state.json").exists():
            raise UnknownNameError("sweep", name, [sweep.name for sweep in cls.all(workspace)])
        return found

    @classmethod
    def all(cls, workspace: Workspace) -> list[Sweep]:
        """Every sweep, the newest first."""
        folder = folder_of(workspace)
        names = [path.name for path in folder.iterdir() if (path / "state.json").exists()] if folder.is_dir() else []
        sweeps = [cls(folder / name) for name in names]
        return sorted(sweeps, key=lambda sweep: (str(sweep.read().get("created")), sweep.name), reverse=True)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder.parent.parent)

    # -- reading -----------------------------------------------------------------------------------------------

    def plan(self) -> SweepPlan:
        """What was asked for. Raises SpecError when the file is missing or damaged."""
        path = self.folder / "sweep.yaml"
        return SweepPlan.parse(_upgrade_plan(_read_yaml(path)), str(path))

    def read(self) -> dict[str, Any]:
        """``state.json``: ``{"state", "metric", "maximize", "created", "error", "trials": [...]}``.

        A trial is ``{"number", "values", "state", "value", "runs": {seed: id}, "figures": {seed: value}, "error"}``;
        its state is running, succeeded, failed, stopped or pruned. Where seeds alone vary, ``"failed"`` lists those
        whose run has failed while the others went on.
        """
        found = read_json(self.folder / "state.json")
        empty = {"state": "failed", "trials": [], "metric": "", "maximize": True, "created": None, "error": None}
        if not isinstance(found, dict):
            return empty
        trials = [{**trial, "values": upgrade_paths(trial["values"])} for trial in found.get("trials", [])]
        return {**empty, **found, "trials": trials}

    def best(self) -> dict[str, Any] | None:
        """The trial with the best value so far; of equals the earlier one."""
        found = self.read()
        done = with_value(found["trials"])
        if not done:
            return None
        return max(done, key=lambda trial: (trial["value"] if found["maximize"] else -trial["value"], -trial["number"]))

    def importance(self) -> dict[str, float]:
        """How much each field mattered, as shares of 1; see :func:`workbench.jobs.sweep_study.importance`."""
        done = with_value(self.read()["trials"])
        return importance(self.plan().over, [(trial["values"], trial["value"]) for trial in done])

    def summary(self) -> dict[str, Any]:
        """What ``workbench sweeps NAME --json`` prints."""
        found, plan, best = self.read(), self.plan(), self.best()
        ended = [trial for trial in found["trials"] if trial["state"] not in OPEN]
        return {
            "name": self.name,
            "state": found["state"],
            "method": plan.method,
            "over": {field: axis.told() for field, axis in plan.over.items()},
            "seeds": plan.seeds,
            "prune": plan.prune,
            "metric": found["metric"],
            "maximize": found["maximize"],
            "trials_asked": plan.size(),
            "trials_done": len(ended),
            "created": found["created"],
            "best": best,
            "error": found["error"],
            "trials": found["trials"],
        }

    # -- what people do ----------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Start no more trials, and stop the runs that are queued or running; they can be gone on with."""
        with self.changing() as found:
            if found["state"] == "running":
                found["state"] = "stopped"
            waiting = [
                run_id for trial in found["trials"] if trial["state"] in OPEN for run_id in trial["runs"].values()
            ]
        for run_id in waiting:
            run = Run(self.workspace.run_folder(run_id))
            if run.folder.is_dir() and run.state in ("queued", "running"):
                stop(run)

    def resume(self, start: bool = True) -> None:
        """Go on with a stopped sweep: the trials that were stopped with it are resumed, then the rest.

        Raises:
            RequestError: it is not stopped.
        """
        with self.changing() as found:
            if found["state"] not in ("stopped", "failed"):
                raise RequestError(f"The sweep {self.name} is {found['state']}: there is nothing to go on with.")
            found.update(state="running", error=None, resuming=True)
        if start:
            ensure_worker(self.workspace)

    @contextlib.contextmanager
    def changing(self) -> Iterator[dict[str, Any]]:
        """The state, to be changed by nobody else meanwhile; written when the block ends, if it has changed."""
        lock = Lock(self.folder / "sweep.lock", make_folder=False)
        lock.acquire(wait=True)
        try:
            before = self.read()
            found = self.read()
            yield found
            if found != before:
                write_json(self.folder / "state.json", found)
        finally:
            lock.release()

    def study(self, plan: SweepPlan, maximize: bool) -> Study:
        """Optuna's side of it."""
        file = self.folder / "study.db"
        with storage_errors(file):
            return Study(file, plan.over, plan.method, plan.combinations(), maximize, plan.seed)


def folder_of(workspace: Workspace) -> Path:
    """Where sweeps are."""
    return workspace.root / "sweeps"


def active(workspace: Workspace) -> list[Sweep]:
    """The sweeps that have trials left, the oldest first."""
    return [sweep for sweep in Sweep.all(workspace)[::-1] if sweep.read()["state"] == "running"]


def with_value(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The trials that came to a value."""
    return [trial for trial in trials if trial["state"] == "succeeded" and trial.get("value") is not None]


def spread(trial: Mapping[str, Any]) -> float | None:
    """Standard deviation of a trial's seeds; None with fewer than two."""
    figures = [figure for figure in trial.get("figures", {}).values() if figure is not None]
    return statistics.stdev(figures) if len(figures) > 1 else None


def _usual_name(plan: SweepPlan) -> str:
    """For a group of seeds what a run of it would be called, for its runs stand among the others."""
    spec = plan.spec
    return "sweep" if plan.over else f"{spec.model.source}-{Path(spec.data.train).stem}-{spec.tuning.method}"


def _new_folder(workspace: Workspace, stem: str) -> Path:
    """A folder that nobody else has: ``reviews``, ``reviews-2`` ..."""
    folder = folder_of(workspace)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for place in range(1, 10_000):
            path = folder / (stem if place == 1 else f"{stem}-{place}")
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                return path
    raise RequestError(f"There are too many sweeps named {stem}.", "Choose another name.")


def problems_of_plan(plan: SweepPlan, workspace: Workspace, confined: bool = False) -> list[Problem]:
    """What is wrong with the values of the first field that has wrong ones, each checked in a spec; empty for nothing.
    Where no field varies, what is wrong with the spec.

    Raises:
        SpecError: a value makes no spec at all.
    """
    tried = {field: axis.values or [axis.low, axis.high] for field, axis in plan.over.items()}
    first = {field: values[0] for field, values in tried.items()}
    trials = [[{**first, field: value} for value in values[:_VALUES_CHECKED]] for field, values in tried.items()]
    for values_of_one_field in trials or [[{}]]:
        wrong: list[Problem] = []
        for values in values_of_one_field:
            spec = plan.spec_of(values, 0, plan.seeds[0], "sweep")
            wrong += [problem for problem in check(spec, workspace, confined) if problem.severity == "error"]
        if wrong:
            return list(dict.fromkeys(wrong))
    return []


def _refuse_what_cannot_run(plan: SweepPlan, workspace: Workspace, confined: bool) -> None:
    wrong = problems_of_plan(plan, workspace, confined)
    if wrong:
        text = "; ".join(f"{problem.field}: {problem.message}" for problem in wrong)
        raise SpecError(f"The sweep cannot be run: {text}", wrong[0].hint, wrong)
