"""What the worker does for sweeps: collect what has ended, stop what is hopeless, start what is next.

A step can be cut off at any point and done again. A trial is decided before its runs are made; a run carries its sweep,
trial and seed in its status, so that a run that was made just before the cut is found and not made twice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import cast

from workbench.errors import BusyError, SpecError, StorageError, WorkbenchError
from workbench.files import storage_errors
from workbench.jobs.queue import resume, stop, submit
from workbench.jobs.reconciling import reconcile
from workbench.jobs.sweep_plan import SweepPlan
from workbench.jobs.sweep_state import OPEN, SweepState, Trial, TrialOutcome, empty_trial
from workbench.jobs.sweep_study import Study
from workbench.jobs.sweeps import Sweep, running_sweeps
from workbench.jobs.variables import read_variables
from workbench.locks import Lock
from workbench.runs.run import Run
from workbench.workspace import Workspace

AHEAD = 1  # runs in the queue besides those that can run at once, where they are known beforehand
MAX_RESUMES = 2  # of one run whose process vanished; more often it is the run's own doing


def advance_all(workspace: Workspace, slots: int, say: Callable[[str], None]) -> int:
    """Advance every sweep that has trials left by one step.

    Args:
        workspace: whose sweeps.
        slots: how many runs can run at once.
        say: receives a line about each sweep that waits or fails.

    Returns:
        How many there are.
    """
    sweeps = running_sweeps(workspace)
    for sweep in sweeps:
        try:
            with storage_errors(sweep.folder / "study.db"):  # also those of SQLite, which have their text only
                advance(sweep, slots)
        except (StorageError, BusyError) as error:
            say(f"The sweep {sweep.name} waits: {error}")
        except Exception as error:  # such as a damaged database: it must not end the worker
            document = error.as_dict() if isinstance(error, WorkbenchError) else _error_document(error)
            with contextlib.suppress(StorageError, OSError), sweep.changing() as state:
                state["state"], state["error"] = "failed", document
            say(f"The sweep {sweep.name} has failed: {document['message']}")
    return len(sweeps)


def _error_document(error: Exception) -> dict[str, str]:
    message = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
    return {"kind": "Sweep", "message": message, "hint": "Resume the sweep, or start a new one."}


def advance(sweep: Sweep, slots: int = 1) -> None:
    """Advance a sweep by one step, without waiting. Does nothing while another process holds the sweep.

    Args:
        sweep: the sweep.
        slots: how many runs can run at once.
    """
    lock = Lock(sweep.folder / "sweep.lock", make_folder=False)
    if not lock.acquire():
        return
    lock.release()
    with sweep.changing() as state:
        if state["state"] == "running":
            step = _Step(sweep, state)
            try:
                step.take(slots)
            finally:
                step.close()


class _Step:
    """One step of one sweep; ``state`` is changed in place."""

    def __init__(self, sweep: Sweep, state: SweepState) -> None:
        self.sweep, self.state, self.workspace = sweep, state, sweep.workspace
        self._plan: SweepPlan | None = None
        self._study: Study | None = None

    @property
    def plan(self) -> SweepPlan:
        """The sweep's plan, read once."""
        self._plan = self._plan or self.sweep.plan()
        return self._plan

    @property
    def study(self) -> Study:
        """Optuna's study, opened only when something has happened."""
        self._study = self._study or self.sweep.study(self.plan, self.state["maximize"])
        return self._study

    def close(self) -> None:
        """Close the study."""
        if self._study is not None:
            self._study.close()

    def take(self, slots: int) -> None:
        """Look at the unfinished trials, then begin new ones as far as there is room.

        Args:
            slots: how many runs can run at once.
        """
        resuming = self.state.pop("resuming", False)
        for trial in self.state["trials"]:
            if trial["state"] in OPEN:
                self._update(trial, resuming)
        room = slots + (0 if self.plan.method == "tpe" else AHEAD)
        while self._busy() < room and len(self.state["trials"]) < self.plan.size():
            self._begin()
        if len(self.state["trials"]) >= self.plan.size() and not self._open():
            self.state["state"] = "succeeded"
            self.sweep.variables_file.unlink(missing_ok=True)

    def _open(self) -> list[Trial]:
        return [trial for trial in self.state["trials"] if trial["state"] in OPEN]

    def _busy(self) -> int:
        """Count the runs that are queued or running."""
        return sum(1 for trial in self._open() for seed in trial["runs"] if seed not in trial["figures"])

    def _begin(self) -> None:
        number = len(self.state["trials"])
        trial = empty_trial(number, self.study.propose(number))
        self.state["trials"].append(trial)
        self._start_seeds(trial)

    # -- one trial ---------------------------------------------------------------------------------------------

    def _start_seeds(self, trial: Trial) -> None:
        """Make the runs that the trial lacks; with pruning, one seed after the other."""
        for index, seed in enumerate(self.plan.seeds):
            if self.plan.prune and index > len(trial["figures"]):
                break
            if str(seed) not in trial["runs"]:
                try:
                    trial["runs"][str(seed)] = self._run_of(trial, seed).id
                except SpecError as error:
                    return self._end(trial, "failed", error=error.as_dict())

    def _run_of(self, trial: Trial, seed: int) -> Run:
        """Return the run of a seed: one that an earlier step made but could not note down, or a new one."""
        for run in reversed(Run.all(self.workspace)):
            status = run.stored_status()
            if str(status.created) < str(self.state["created"]):
                continue
            own = (status.group, status.trial, status.seed)
            if own == (self.sweep.name, trial["number"], seed):
                return run
        spec = self.plan.spec_of(trial["values"], trial["number"], seed, self.sweep.name)
        variables = read_variables(self.sweep.variables_file)
        return submit(spec, self.workspace, bool(self.state.get("confined")), start=False, variables=variables)

    def _update(self, trial: Trial, resuming: bool) -> None:
        """Take in what the trial's runs have come to."""
        for seed, run_id in trial["runs"].items():
            if seed in trial["figures"]:
                continue
            run = Run(self.workspace.run_folder(run_id))
            if not run.folder.is_dir():
                error = {"kind": "Run", "message": f"The run {run_id} was deleted.", "hint": ""}
                return self._end(trial, "failed", error)
            reconcile(run)
            if not self._update_run(trial, seed, run, resuming):
                return None
        self._start_seeds(trial)
        if len(trial["figures"]) == len(self.plan.seeds) and trial["state"] in OPEN:
            self._end(trial, "failed" if trial.get("failed") else "succeeded", error=trial["error"])
        return None

    def _update_run(self, trial: Trial, seed: str, run: Run, resuming: bool) -> bool:
        """Take in one run. Return False when the trial has ended with it."""
        state = run.state
        if state == "succeeded":
            return self._take_result(trial, seed, run)
        if state == "running" and self.plan.prune and seed == str(self.plan.seeds[0]):
            return not self._prune(trial, run)
        if state == "interrupted" or (state == "stopped" and resuming):
            return self._resume(trial, seed, run, resuming)
        if state == "failed" and not self.plan.over:  # one seed may diverge where others do not: these continue
            trial["figures"][seed] = None
            trial["error"] = _error_of(run)
            trial["failed"] = [*trial.get("failed", []), seed]
        elif state in ("failed", "stopped"):
            self._end(trial, cast(TrialOutcome, state), _error_of(run))
            return False
        return True

    def _take_result(self, trial: Trial, seed: str, run: Run) -> bool:
        value = self._result(run)
        if value is None and self.plan.over:  # nothing to choose by; seeds alone are compared by their test split
            message = f"The run {run.id} wrote no {self.state['metric']}."
            error = {"kind": "Sweep", "message": message, "hint": "Hold out a validation split."}
            self._end(trial, "failed", error)
            return False
        trial["figures"][seed] = value
        return True

    def _resume(self, trial: Trial, seed: str, run: Run, resuming: bool) -> bool:
        count = trial["resumed"].get(seed, 0)
        if count >= MAX_RESUMES and not resuming:
            self._end(trial, "failed", _error_of(run))
            return False
        trial["resumed"][seed] = count + 1
        resume(run, self.workspace, start=False, variables=read_variables(self.sweep.variables_file))
        return True

    def _prune(self, trial: Trial, run: Run) -> bool:
        """Report the new evaluations of a running trial to the pruner, and stop the trial when it says so."""
        values = evaluations(run, self.state["metric"])
        if len(values) <= trial["seen"]:
            return False
        for index in range(trial["seen"], len(values)):
            self.study.report(trial["number"], index, values[index])
        trial["seen"] = len(values)
        if not self.study.should_stop(trial["number"]):
            return False
        self._end(trial, "pruned")
        return True

    def _result(self, run: Run) -> float | None:
        """Return what a finished run reached on its validation split: the evaluation whose weights it has kept."""
        values = evaluations(run, self.state["metric"])
        if not values:
            return None
        if not run.spec().training.load_best:
            return values[-1]
        return max(values) if self.state["maximize"] else min(values)

    def _end(self, trial: Trial, state: TrialOutcome, error: dict[str, str] | None = None) -> None:
        """Store how a trial ended, and stop what is left of its runs."""
        values = [value for value in trial["figures"].values() if value is not None]
        value = sum(values) / len(values) if state == "succeeded" and values else None
        trial["state"], trial["error"], trial["value"] = state, error, value
        if state == "succeeded" and self.plan.prune:  # the pruner compares with evaluations of trials that went through
            first = Run(self.workspace.run_folder(trial["runs"][str(self.plan.seeds[0])]))
            for index, evaluation in enumerate(evaluations(first, self.state["metric"])):
                self.study.report(trial["number"], index, evaluation)
        self.study.tell(trial["number"], state if value is not None or state != "succeeded" else "failed", value)
        for run_id in trial["runs"].values():
            run = Run(self.workspace.run_folder(run_id))
            if run.folder.is_dir() and run.state in ("queued", "running"):
                stop(run)


def _error_of(run: Run) -> dict[str, str] | None:
    error = run.status().error
    return error.as_dict() if error else None


def evaluations(run: Run, metric: str) -> list[float]:
    """Return a run's values of a metric, one per evaluation in order; a resumed run's are not counted twice.

    Args:
        run: the run.
        metric: its name in ``metrics.jsonl``.
    """
    values = {
        row["step"]: row[metric]
        for row in run.read_metrics()[0]
        if isinstance(row.get(metric), int | float) and "step" in row
    }
    return [float(values[step]) for step in sorted(values)]
