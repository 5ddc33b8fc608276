"""What the worker does for sweeps: take in what has ended, give up what is hopeless, start what is next.

A step can be cut off at any point and done again. What a trial is, is known before its runs are made; a run carries its
sweep, trial and seed in its status, so that one that was made just before the end is found and not made twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.errors import SpecError, StorageError, WorkbenchError
from workbench.files import Lock, read_json
from workbench.jobs.queue import reconcile, resume, stop, submit
from workbench.jobs.sweep_study import Study
from workbench.jobs.sweeps import OPEN, Sweep, SweepPlan, active
from workbench.runs.run import Run
from workbench.workspace import Workspace

AHEAD = 1  # runs in the queue besides those that can run at once, where they are known beforehand
MOST_RESUMES = 2  # of one run whose process vanished; more often it is the run's own doing


def advance_all(workspace: Workspace, slots: int, say: Callable[[str], None]) -> int:
    """One step of every sweep that has trials left. Returns how many have."""
    sweeps = active(workspace)
    for sweep in sweeps:
        try:
            advance(sweep, slots)
        except StorageError as error:
            say(f"The sweep {sweep.name} waits: {error}")
        except Exception as error:  # a damaged database, say, must not end the worker
            told = error.as_dict() if isinstance(error, WorkbenchError) else _told(error)
            with sweep.changing() as found:
                found.update(state="failed", error=told)
            say(f"The sweep {sweep.name} has failed: {told['message']}")
    return len(sweeps)


def _told(error: Exception) -> dict[str, str]:
    message = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
    return {"kind": "Sweep", "message": message, "hint": "Go on with it, or begin a new one."}


def advance(sweep: Sweep, slots: int = 1) -> None:
    """One step: nothing is waited for. Does nothing while somebody else holds the sweep.

    Args:
        sweep: which.
        slots: how many runs can run at once.
    """
    lock = Lock(sweep.folder / "sweep.lock", make_folder=False)
    if not lock.acquire():
        return
    lock.release()
    with sweep.changing() as found:
        if found["state"] == "running":
            step = _Step(sweep, found)
            try:
                step.take(slots)
            finally:
                step.close()


class _Step:
    """One step of one sweep; ``found`` is its state, which is changed in place."""

    def __init__(self, sweep: Sweep, found: dict[str, Any]) -> None:
        self.sweep, self.found, self.workspace = sweep, found, sweep.workspace
        self._plan: SweepPlan | None = None
        self._study: Study | None = None

    @property
    def plan(self) -> SweepPlan:
        self._plan = self._plan or self.sweep.plan()
        return self._plan

    @property
    def study(self) -> Study:
        """Opened only when something has happened."""
        self._study = self._study or self.sweep.study(self.plan, self.found["maximize"])
        return self._study

    def close(self) -> None:
        if self._study is not None:
            self._study.close()

    def take(self, slots: int) -> None:
        """Look at the trials that go on, then begin new ones as far as there is room."""
        again = self.found.pop("resuming", False)
        for trial in self.found["trials"]:
            if trial["state"] in OPEN:
                self._look(trial, again)
        room = slots + (0 if self.plan.method == "tpe" else AHEAD)
        while self._busy() < room and len(self.found["trials"]) < self.plan.size():
            self._begin()
        if len(self.found["trials"]) >= self.plan.size() and not self._open():
            self.found["state"] = "succeeded"

    def _open(self) -> list[dict[str, Any]]:
        return [trial for trial in self.found["trials"] if trial["state"] in OPEN]

    def _busy(self) -> int:
        """Runs that are queued or running."""
        return sum(1 for trial in self._open() for seed in trial["runs"] if seed not in trial["figures"])

    def _begin(self) -> None:
        number = len(self.found["trials"])
        trial = {"number": number, "values": self.study.propose(number), "state": "running", "value": None}
        trial |= {"runs": {}, "figures": {}, "resumed": {}, "seen": 0, "error": None}
        self.found["trials"].append(trial)
        self._start_seeds(trial)

    # -- one trial ---------------------------------------------------------------------------------------------

    def _start_seeds(self, trial: dict[str, Any]) -> None:
        """Make the runs that the trial lacks; with pruning, one seed after the other."""
        for place, seed in enumerate(self.plan.seeds):
            if self.plan.prune and place > len(trial["figures"]):
                break
            if str(seed) not in trial["runs"]:
                try:
                    trial["runs"][str(seed)] = self._run_of(trial, seed).id
                except SpecError as error:
                    return self._end(trial, "failed", error=error.as_dict())

    def _run_of(self, trial: dict[str, Any], seed: int) -> Run:
        """The run of a seed: the one that a step before this made, and did not come to note down; or a new one."""
        for run in reversed(Run.all(self.workspace)):
            status = read_json(run.folder / "status.json")
            if not isinstance(status, dict) or str(status.get("created")) < str(self.found["created"]):
                continue
            if (status.get("group"), status.get("trial"), status.get("seed")) == (
                self.sweep.name,
                trial["number"],
                seed,
            ):
                return run
        spec = self.plan.spec_of(trial["values"], trial["number"], seed, self.sweep.name)
        return submit(spec, self.workspace, bool(self.found.get("confined")), start=False)

    def _look(self, trial: dict[str, Any], again: bool) -> None:
        """Take in what the trial's runs have come to."""
        for seed, run_id in trial["runs"].items():
            if seed in trial["figures"]:
                continue
            run = Run(self.workspace.run_folder(run_id))
            if not run.folder.is_dir():
                return self._end(
                    trial, "failed", {"kind": "Run", "message": f"The run {run_id} was deleted.", "hint": ""}
                )
            reconcile(run)
            if not self._look_at(trial, seed, run, again):
                return None
        self._start_seeds(trial)
        if len(trial["figures"]) == len(self.plan.seeds) and trial["state"] in OPEN:
            self._end(trial, "failed" if trial.get("failed") else "succeeded", error=trial["error"])
        return None

    def _look_at(self, trial: dict[str, Any], seed: str, run: Run, again: bool) -> bool:
        """Take in one run. False when the trial has ended with it."""
        state = run.state
        if state == "succeeded":
            figure = self._figure(run)
            if figure is None and self.plan.over:  # nothing to choose by; seeds alone are compared by their test part
                message = f"The run {run.id} wrote no {self.found['metric']}."
                self._end(trial, "failed", {"kind": "Sweep", "message": message, "hint": "Hold out a validation part."})
                return False
            trial["figures"][seed] = figure
        elif state == "running" and self.plan.prune and seed == str(self.plan.seeds[0]):
            return not self._hopeless(trial, run)
        elif state == "interrupted" or (state == "stopped" and again):
            resumed = trial["resumed"].get(seed, 0)
            if resumed >= MOST_RESUMES and not again:
                self._end(trial, "failed", _error(run))
                return False
            trial["resumed"][seed] = resumed + 1
            resume(run, self.workspace, start=False)
        elif state == "failed" and not self.plan.over:  # a seed may diverge where others do not: these go on
            trial["figures"][seed] = None
            trial["error"] = _error(run)
            trial["failed"] = [*trial.get("failed", []), seed]
        elif state in ("failed", "stopped"):
            self._end(trial, state, _error(run))
            return False
        return True

    def _hopeless(self, trial: dict[str, Any], run: Run) -> bool:
        """Tell the pruner the new evaluations of a running trial, and stop it when it says so."""
        values = evaluations(run, self.found["metric"])
        if len(values) <= trial["seen"]:
            return False
        for place in range(trial["seen"], len(values)):
            self.study.report(trial["number"], place, values[place])
        trial["seen"] = len(values)
        if not self.study.should_stop(trial["number"]):
            return False
        self._end(trial, "pruned")
        return True

    def _figure(self, run: Run) -> float | None:
        """What a finished run reached on its validation part: its best evaluation, or its last if it keeps that."""
        values = evaluations(run, self.found["metric"])
        if not values:
            return None
        if not run.spec().training.load_best:
            return values[-1]
        return max(values) if self.found["maximize"] else min(values)

    def _end(self, trial: dict[str, Any], state: str, error: dict[str, str] | None = None) -> None:
        """Note how a trial ended, and stop what is left of its runs."""
        figures = [figure for figure in trial["figures"].values() if figure is not None]
        value = sum(figures) / len(figures) if state == "succeeded" and figures else None
        trial.update(state=state, error=error, value=value)
        if state == "succeeded" and self.plan.prune:  # the pruner compares with evaluations of trials that went through
            first = Run(self.workspace.run_folder(trial["runs"][str(self.plan.seeds[0])]))
            for place, value in enumerate(evaluations(first, self.found["metric"])):
                self.study.report(trial["number"], place, value)
        self.study.tell(trial["number"], state if value is not None or state != "succeeded" else "failed", value)
        for run_id in trial["runs"].values():
            run = Run(self.workspace.run_folder(run_id))
            if run.folder.is_dir() and run.state in ("queued", "running"):
                stop(run)


def _error(run: Run) -> dict[str, str] | None:
    error = run.status().error
    return error.as_dict() if error else None


def evaluations(run: Run, metric: str) -> list[float]:
    """A run's values of ``metric``, one for each evaluation in order; a resumed run's are not counted twice."""
    found = {
        row["step"]: row[metric]
        for row in run.read_metrics()[0]
        if isinstance(row.get(metric), int | float) and "step" in row
    }
    return [float(found[step]) for step in sorted(found)]
