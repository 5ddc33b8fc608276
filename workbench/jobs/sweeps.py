"""A sweep: a group of ordinary runs over the values of some fields, in search of the best.

    WORKBENCH_HOME/sweeps/NAME/
        sweep.yaml    the plan; written once
        state.json    each trial: its values, its runs, what became of it       (replaced atomically)
        study.db      Optuna's storage: what proposes the next trial
        sweep.lock    held while state.json is changed

A trial is one choice of values; each of its seeds is a run like any other, whose spec names the sweep (``group``) and
the ``trial``. The worker drives sweeps (:mod:`workbench.jobs.sweep_driver`), a few runs ahead, so that other runs get
their turn. What counts is the metric on the *validation* split: the test split stays unseen, for the final comparison.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from workbench.errors import RequestError, UnknownNameError
from workbench.files import inside, safe_name, slug, storage_errors, write_json, write_text
from workbench.i18n import _
from workbench.jobs import start_worker
from workbench.jobs.queue import stop
from workbench.jobs.sweep_plan import Method, SweepPlan, refuse_unrunnable, validation_metric
from workbench.jobs.sweep_state import OPEN, SweepOutcome, SweepState, Trial, read_state
from workbench.jobs.sweep_study import Study, importance, require_optuna
from workbench.jobs.variables import own_variables
from workbench.jobs.waiting import sweep_folders, sweeps_folder
from workbench.locks import Lock
from workbench.metrics.measures import SMALLER_IS_BETTER
from workbench.runs.run import Run
from workbench.types import Json
from workbench.workspace import Workspace


class SweepSummary(TypedDict):
    """What ``workbench sweep --json`` prints, and ``workbench sweeps --json`` for each sweep."""

    name: str
    state: SweepOutcome
    method: Method
    over: dict[str, str]
    seeds: list[int]
    prune: bool
    metric: str
    maximize: bool
    trials_asked: int
    trials_done: int
    created: str | None
    best: Trial | None
    error: dict[str, str] | None
    trials: list[Trial]


class SweepDetails(SweepSummary):
    """What ``workbench sweeps NAME --json`` prints: also how much each field mattered, as shares of 1."""

    importance: dict[str, float]


@dataclass(frozen=True)
class Sweep:
    """A handle on a sweep's folder. It holds no state; what it returns is read from the folder.

    Attributes:
        folder: the sweep's.
    """

    folder: Path

    @property
    def variables_file(self) -> Path:
        """Environment variables for the processes of its runs; only the owner can read it."""
        return self.folder / "variables.json"

    # -- creating and opening ----------------------------------------------------------------------------------

    @classmethod
    def create(cls, plan: SweepPlan, workspace: Workspace, confined: bool = False, start: bool = True) -> Sweep:
        """Check a plan, store it, and have the worker begin.

        Args:
            plan: what to do. Relative paths in its spec count from the current folder.
            workspace: where.
            confined: its runs may read the workspace's uploads only.
            start: whether to start the worker if none is running.

        Raises:
            SpecError: a value cannot run; nothing was started.
            MissingPackageError: Optuna is not installed.
            StorageError: the disk is full or read-only.
        """
        from workbench.check import with_absolute_paths

        require_optuna()
        plan = plan.model_copy(update={"spec": with_absolute_paths(plan.spec, workspace, confined)})
        refuse_unrunnable(plan, workspace, confined)
        metric = plan.metric or validation_metric(plan.spec)
        state: SweepState = {
            "state": "running",
            "created": datetime.now(UTC).isoformat(),
            "metric": metric,
            "maximize": metric.removeprefix("eval/") not in SMALLER_IS_BETTER,
            "confined": confined,
            "error": None,
            "trials": [],
        }
        sweep = cls(_new_folder(workspace, slug(plan.name or plan.spec.name or _default_name(plan))))
        write_text(sweep.folder / "sweep.yaml", plan.to_yaml())
        write_json(sweep.variables_file, own_variables())
        write_json(sweep.folder / "state.json", state)  # last: a folder with a state is complete
        if start:
            start_worker.ensure_worker(workspace)
        return sweep

    @classmethod
    def open(cls, name: str, workspace: Workspace) -> Sweep:
        """Open a sweep.

        Args:
            name: its name.
            workspace: where it is.

        Raises:
            UnknownNameError: there is no such sweep.
        """
        folder = sweeps_folder(workspace)
        inside(folder, safe_name(name, "sweep name"), "sweep")
        sweep = cls(folder / name)
        if not (sweep.folder / "state.json").exists():
            raise UnknownNameError("sweep", name, [other.name for other in cls.all(workspace)])
        return sweep

    @classmethod
    def all(cls, workspace: Workspace) -> list[Sweep]:
        """Return every sweep, the newest first.

        Args:
            workspace: whose sweeps.
        """
        sweeps = [cls(folder) for folder in sweep_folders(workspace)]
        return sorted(sweeps, key=lambda sweep: (str(sweep.read()["created"]), sweep.name), reverse=True)

    @property
    def name(self) -> str:
        """The sweep's name, which is its folder's."""
        return self.folder.name

    @property
    def workspace(self) -> Workspace:
        """The workspace that the sweep's folder is in."""
        return Workspace(self.folder.parent.parent)

    # -- reading -----------------------------------------------------------------------------------------------

    def plan(self) -> SweepPlan:
        """Return the plan. Raises SpecError when the file is missing or damaged."""
        return SweepPlan.load_stored(self.folder / "sweep.yaml")

    def read(self) -> SweepState:
        """Return ``state.json``; a missing or damaged file is a failed sweep without trials."""
        return read_state(self.folder)

    def best(self) -> Trial | None:
        """Return the trial with the best value so far, the earlier one of equals; None before there is one."""
        state = self.read()
        done = with_value(state["trials"])
        sign = 1 if state["maximize"] else -1
        return max(done, key=lambda trial: (sign * (trial["value"] or 0.0), -trial["number"]), default=None)

    def importance(self) -> dict[str, float]:
        """Return how much each field mattered, as shares of 1. See :func:`workbench.jobs.sweep_study.importance`."""
        done = with_value(self.read()["trials"])
        return importance(self.plan().over, [(trial["values"], trial["value"] or 0.0) for trial in done])

    def summary(self) -> SweepSummary:
        """Return the plan and the state as one document for users."""
        state, plan = self.read(), self.plan()
        ended = [trial for trial in state["trials"] if trial["state"] not in OPEN]
        return {
            "name": self.name,
            "state": state["state"],
            "method": plan.method,
            "over": {field: axis.to_text() for field, axis in plan.over.items()},
            "seeds": plan.seeds,
            "prune": plan.prune,
            "metric": state["metric"],
            "maximize": state["maximize"],
            "trials_asked": plan.size(),
            "trials_done": len(ended),
            "created": state["created"],
            "best": self.best(),
            "error": state["error"],
            "trials": state["trials"],
        }

    # -- what users do -----------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Start no more trials, and stop the runs that are queued or running. They can be resumed."""
        with self.changing() as state:
            if state["state"] == "running":
                state["state"] = "stopped"
                self.variables_file.unlink(missing_ok=True)
            unfinished = [
                run_id for trial in state["trials"] if trial["state"] in OPEN for run_id in trial["runs"].values()
            ]
        for run_id in unfinished:
            run = Run(self.workspace.run_folder(run_id))
            if run.folder.is_dir() and run.state in ("queued", "running"):
                stop(run)

    def resume(self, start: bool = True) -> None:
        """Resume a stopped or failed sweep: first the trials that were stopped with it, then the rest.

        Args:
            start: whether to start the worker if none is running.

        Raises:
            RequestError: it is not stopped.
        """
        with self.changing() as state:
            if state["state"] not in ("stopped", "failed"):
                raise RequestError(f"The sweep {self.name} is {state['state']}: there is nothing to resume.")
            write_json(self.variables_file, own_variables())
            state["state"], state["error"], state["resuming"] = "running", None, True
        if start:
            start_worker.ensure_worker(self.workspace)

    @contextlib.contextmanager
    def changing(self) -> Iterator[SweepState]:
        """Change the state under the sweep's lock; it is written when the block ends, if it has changed."""
        lock = Lock(self.folder / "sweep.lock", make_folder=False)
        lock.acquire(wait=True)
        try:
            before, state = self.read(), self.read()
            yield state
            if state != before:
                write_json(self.folder / "state.json", state)
        finally:
            lock.release()

    def study(self, plan: SweepPlan, maximize: bool) -> Study:
        """Open Optuna's study of this sweep.

        Args:
            plan: the sweep's.
            maximize: whether more is better.

        Raises:
            StorageError: the disk is full or read-only.
        """
        file = self.folder / "study.db"
        with storage_errors(file):
            return Study(file, plan.over, plan.method, plan.combinations(), maximize, plan.seed)


def list_sweeps(workspace: Workspace) -> tuple[list[SweepSummary], dict[str, str]]:
    """Return the summaries of all sweeps, the newest first, and why others have none, by their names.

    Args:
        workspace: whose sweeps.
    """
    summaries, damaged = [], {}
    for sweep in Sweep.all(workspace):
        try:
            summaries.append(sweep.summary())
        except Exception as error:  # whatever is in one folder, the others are listed
            damaged[sweep.name] = str(error)
    names = {sweep.name for sweep in Sweep.all(workspace)}
    folder = sweeps_folder(workspace)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name not in names and not path.name.startswith("."):
            damaged[path.name] = _("It is not a sweep: it has no state, or a name that cannot be opened.")
    return summaries, damaged


def running_sweeps(workspace: Workspace) -> list[Sweep]:
    """Return the sweeps that have trials left, the oldest first.

    Args:
        workspace: whose sweeps.
    """
    return [sweep for sweep in Sweep.all(workspace)[::-1] if sweep.read()["state"] == "running"]


def with_value(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that have succeeded with a value.

    Args:
        trials: trials of a sweep.
    """
    return [trial for trial in trials if trial["state"] == "succeeded" and trial.get("value") is not None]


def seed_deviation(trial: Trial) -> float | None:
    """Return the standard deviation over a trial's seeds; None with fewer than two.

    Args:
        trial: a trial of a sweep.
    """
    values = [value for value in trial.get("figures", {}).values() if value is not None]
    return statistics.stdev(values) if len(values) > 1 else None


def trial_line(trial: Trial) -> str:
    """Describe a trial in one line: its number, its value or state, and the values of its fields.

    Args:
        trial: a trial of a sweep.
    """
    values = ", ".join(f"{field}={value_text(value)}" for field, value in trial["values"].items())
    result = f"{trial['value']:.4f}" if trial["value"] is not None else _(trial["state"])
    return _("trial {number}: {result}   {values}").format(number=trial["number"], result=result, values=values)


def value_text(value: Json) -> str:
    """Return a field's value as text, a fraction with four digits.

    Args:
        value: value of a field that varies.
    """
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _default_name(plan: SweepPlan) -> str:
    """Name a group of seeds as a run of it would be named, because its runs are listed among the others."""
    spec = plan.spec
    return "sweep" if plan.over else f"{spec.model.source}-{Path(spec.data.train).stem}-{spec.tuning.method}"


def _new_folder(workspace: Workspace, stem: str) -> Path:
    """Make a folder whose name is free: ``reviews``, ``reviews-2``, ..."""
    folder = sweeps_folder(workspace)
    with storage_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(1, 10_000):
            path = folder / (stem if number == 1 else f"{stem}-{number}")
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
                return path
    raise RequestError(f"There are too many sweeps named {stem}.", "Choose another name.")
