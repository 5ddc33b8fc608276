"""The public Python API: ``import workbench as wb``.

    run = wb.run("demo-lora", training__epochs=2)     # through the queue, like `workbench run`
    run.metrics()                                     # a DataFrame: learning curves
    run.results()                                     # {"accuracy": 0.86, ...}, on the test split
    run.predict(["A great film.", "A dull plot."])
    run.explain("A great film.")                      # draws itself in a notebook
    wb.compare(run, wb.run("demo-full"))              # is one better than the other?

A spec is the name of a preset, a YAML file, a dictionary or a :class:`~workbench.spec.RunSpec`. Change its fields with
keyword arguments, in which two underscores stand for the dot of a path (``training__epochs=2``), or with
``changes={"training.epochs": 2}``.

Runs live in the workspace that ``WORKBENCH_HOME`` names; every function takes another ``workspace``. Errors are
:class:`~workbench.errors.WorkbenchError`: they say what was wrong and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from workbench.compare.results import Comparison as PlainComparison
from workbench.display import frame, interval, number, show_progress, table
from workbench.errors import SpecError
from workbench.runs.documents import Report
from workbench.runs.run import Run as StoredRun
from workbench.spec import RunSpec
from workbench.system.terminal import say
from workbench.workspace import Workspace

if TYPE_CHECKING:
    import pandas

    from workbench.check import Problem
    from workbench.data.load import Dataset
    from workbench.explain.base import Explanation
    from workbench.inference.predictor import Predictor
    from workbench.jobs.sweeps import Sweep
    from workbench.tasks.answers import Answer

SpecLike: TypeAlias = "str | Path | Mapping[str, Any] | RunSpec"
RunLike: TypeAlias = "str | StoredRun"


# -- runs ------------------------------------------------------------------------------------------------------------


class Run(StoredRun):
    """A run: its results, and its model to ask.

    A handle on the run's folder, which holds no state. Get one from :func:`run`, :func:`runs` or ``Run.open``.
    """

    @classmethod
    def open(cls, run_id: str, workspace: Workspace | None = None) -> Run:
        """Open a run.

        Args:
            run_id: its id, or the beginning or the end of it, or its name, if only one run has it.
            workspace: where it is; the current one by default.

        Raises:
            UnknownNameError: there is no such run.
            RequestError: several runs match.
        """
        return cls(StoredRun.open(run_id, workspace or Workspace.current()).folder)

    def metrics(self) -> pandas.DataFrame:
        """Return the learning curves: a row per line of ``metrics.jsonl``, a column per metric.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return frame(self.read_metrics()[0])

    def results(self) -> dict[str, float]:
        """Return the final metrics by name, on the test split; empty before the run has succeeded."""
        return {
            name: float(metric.value)
            for name, metric in (self.report() or Report()).metrics.items()
            if metric.value is not None
        }

    def predictor(self, device: str = "cpu") -> Predictor:
        """Load the model, the tokenizer and the task. The models used last stay in memory.

        Args:
            device: ``cpu``, ``cuda``, ...

        Raises:
            RequestError: the run has no model.
        """
        from workbench.inference.cache import recent_predictors
        from workbench.inference.predictor import Predictor

        key = (str(self.folder), (self.folder / "model").exists(), device)
        return recent_predictors().get(key, lambda: Predictor.load(self, device))

    def predict(
        self, inputs: str | Sequence[str | Mapping[str, Any]], *, device: str = "cpu", **options: Any
    ) -> list[Answer]:
        """Predict the label, the answer or the text that the model generates for each input.

        Args:
            inputs: a text or several; for a task of several roles a dictionary each, such as
                ``{"question": ..., "context": ...}``.
            device: where the model computes.
            options: how a generating model writes: ``max_new_tokens=100``.

        Returns:
            An answer for each input, of one of the classes in :mod:`workbench.tasks.answers`: ``answer.label`` of a
            classifier, ``answer.text`` of a model that generates. ``answer.to_json()`` is what ``workbench predict
            --json`` prints.

        Raises:
            DataError: an input lacks a role, or has one that the task does not read.
        """
        many = [inputs] if isinstance(inputs, str | Mapping) else inputs
        rows = [{"text": each} if isinstance(each, str) else dict(each) for each in many]
        return self.predictor(device).predict(rows, options)

    def explain(self, text: str, method: str = "attention", *, device: str = "cpu", **options: Any) -> Explanation:
        """Explain the answer to a text, and measure how faithful the explanation is.

        Args:
            text: what the model reads.
            method: an explainer; ``workbench explainers --run RUN`` lists those that fit.
            device: where the model computes.
            options: the method's own options, and ``text_pair`` and ``target``, as for
                :func:`workbench.explain.base.explain`.

        Raises:
            UnknownNameError: there is no such method or label.
            RequestError: the method does not fit the model.
        """
        from workbench.explain.base import explain

        return explain(self.predictor(device), text, method, **options)

    def wait(self, quiet: bool = False) -> Run:
        """Wait until the run has ended, and show its progress.

        Args:
            quiet: print nothing.

        Returns:
            The run.

        Raises:
            RunError: the run has not succeeded.
        """
        from workbench.jobs.running import require_success

        show_progress(self, quiet)
        require_success(self)
        if not quiet:
            say(self._line())
        return self

    def stop(self) -> None:
        """Stop the run. A running one writes a checkpoint first, and can be resumed."""
        from workbench.jobs import stop

        stop(self, wait=10.0)

    def resume(self, wait: bool = True, quiet: bool = False) -> Run:
        """Resume a stopped, failed or interrupted run from its last checkpoint.

        Args:
            wait: until it has ended.
            quiet: print nothing.

        Raises:
            BusyError: it is queued or running.
            RequestError: it has succeeded.
        """
        from workbench.jobs import resume

        resume(self, self.workspace)
        return self.wait(quiet) if wait else self

    def _line(self) -> str:
        return f"{self.id}: " + (", ".join(f"{k} {v:.3f}" for k, v in self.results().items()) or self.state)

    def __repr__(self) -> str:
        return f"<Run {self._line()}>"

    def _repr_html_(self) -> str:
        report = self.report() or Report()
        rows = [
            (name, number(metric.value), interval(metric), number(report.baseline.get(name)))
            for name, metric in report.metrics.items()
        ]
        head = f"<p><b>{escape(self.id)}</b> {escape(self.state)}</p>"
        return head + (table(("metric", "value", "95% interval", "baseline"), rows) if rows else "")


class RunList(list[Run]):
    """Runs, which draw themselves as a table."""

    def to_frame(self) -> pandas.DataFrame:
        """Return a row per run: state, metrics, cost, and every field of its spec by its dotted name.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        from workbench.runs.table import run_table

        rows = {row["id"]: row for workspace in {run.workspace for run in self} for row in run_table(workspace)}
        return frame([rows[run.id] for run in self if run.id in rows])

    def __repr__(self) -> str:
        return "\n".join(run._line() for run in self) or "No runs."

    def _repr_html_(self) -> str:
        rows = [(run.id, run.state, ", ".join(f"{k} {v:.3f}" for k, v in run.results().items())) for run in self]
        return table(("run", "state", "results"), rows) if rows else "<p>No runs.</p>"


def load_spec(spec: SpecLike, changes: Mapping[str, Any] | None = None, **fields: Any) -> RunSpec:
    """Load a spec, and change some of its fields.

    Args:
        spec: the name of a preset, a YAML file, a dictionary or a spec.
        changes: new values by dotted path: ``{"training.epochs": 2}``.
        fields: the same as keyword arguments, with two underscores for each dot: ``training__epochs=2``.

    Raises:
        SpecError: it is not a spec, or has no such field.
        UnknownNameError: there is no such preset.
    """
    from workbench.check import load_spec

    if isinstance(spec, RunSpec):
        loaded = spec
    elif isinstance(spec, Mapping):
        loaded = RunSpec.parse(dict(spec))
    else:
        loaded = load_spec(str(spec))
    new = {**(changes or {}), **{name.replace("__", "."): value for name, value in fields.items()}}
    return loaded.changed(new) if new else loaded


def check(
    spec: SpecLike, changes: Mapping[str, Any] | None = None, *, workspace: Workspace | None = None, **fields: Any
) -> list[Problem]:
    """Find every problem of a spec, without starting anything.

    Args:
        spec: see :func:`load_spec`, and so ``changes`` and ``fields``.
        changes: new values by dotted path.
        workspace: where it would run; the current one by default.
        fields: new values as keyword arguments.

    Returns:
        The problems, worst first. It can run when none has the severity ``error``.
    """
    from workbench.check import check, problems_of

    try:
        return check(load_spec(spec, changes, **fields), workspace or Workspace.current())
    except SpecError as error:
        return problems_of(error)


def run(
    spec: SpecLike,
    changes: Mapping[str, Any] | None = None,
    *,
    reuse: bool = False,
    wait: bool = True,
    quiet: bool = False,
    workspace: Workspace | None = None,
    **fields: Any,
) -> Run:
    """Train a model: put a run into the queue, and wait until it has ended.

    The run executes in a process of its own, and goes on when this process ends.

    Args:
        spec: see :func:`load_spec`, and so ``changes`` and ``fields``.
        changes: new values by dotted path.
        reuse: return the newest successful run of the same spec, if there is one, instead of running it again.
        wait: until the run has ended; otherwise return at once.
        quiet: print nothing.
        workspace: where it runs; the current one by default.
        fields: new values as keyword arguments: ``training__epochs=2``.

    Returns:
        The run.

    Raises:
        SpecError: the spec cannot run; the message names every problem. Nothing was started.
        RunError: the run has not succeeded.
    """
    from workbench.check import resolve
    from workbench.jobs import submit
    from workbench.jobs.running import find_succeeded, run_in_this_process
    from workbench.teach.sizes import is_test

    workspace = workspace or Workspace.current()
    resolved = resolve(load_spec(spec, changes, **fields), workspace).spec
    stored = find_succeeded(resolved, workspace) if reuse else None
    if stored is None:
        here = wait and is_test()  # the course's own tests: starting a process takes longer than their runs
        stored = submit(resolved, workspace, start=not here)
        if here:
            run_in_this_process(stored)
    started = Run(stored.folder)
    return started.wait(quiet) if wait else started


def runs(
    where: str = "",
    *,
    tags: Sequence[str] = (),
    archived: bool = False,
    sort: str = "",
    workspace: Workspace | None = None,
) -> RunList:
    """List the runs of the workspace, oldest first.

    Args:
        where: an SQL condition over their fields: ``"accuracy > 0.8 AND tuning = 'lora'"``.
        tags: only runs with all of these tags.
        archived: include archived runs.
        sort: order by this field; prefix with ``-`` for descending order.
        workspace: where to look; the current one by default.

    Raises:
        RequestError: the condition cannot be evaluated.
    """
    from workbench.runs.selection import select_runs

    workspace = workspace or Workspace.current()
    rows = select_runs(workspace, where, tags, archived, sort)
    return RunList(Run(workspace.runs / row["id"]) for row in rows)


# -- comparison ------------------------------------------------------------------------------------------------------


class Comparison(PlainComparison):
    """Whether the first run is better than the others: printed as a verdict, drawn in a notebook as a table."""

    def __str__(self) -> str:
        shown = self.seeds or self
        return "\n".join([*(pair.verdict for pair in shown.pairs), *shown.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [
            (
                f"{pair.runs[0]} − {pair.runs[1]}",
                f"{pair.difference:+.4f}",
                f"{pair.low:+.4f} to {pair.high:+.4f}",
                f"{pair.p_value:.3g}",
            )
            for pair in self.pairs
        ]
        verdicts = "".join(f"<p>{escape(line)}</p>" for line in str(self).splitlines())
        return verdicts + table(("difference of", self.metric, "95% interval", "p-value"), rows)


def compare(*runs: RunLike, metric: str | None = None, workspace: Workspace | None = None) -> Comparison:
    """Compare the first run with each of the others on the test examples that they share.

    Args:
        runs: two runs or more, or their ids.
        metric: ``accuracy``, ``macro_f1``, ...; the run's primary metric by default.
        workspace: where ids are looked up; the current one by default.

    Returns:
        The differences with intervals and p-values, and a verdict. Print it, or let a notebook draw it.

    Raises:
        RequestError: fewer than two runs, one without predictions, or their test examples differ.
        UnknownNameError: there is no such run or metric.
    """
    from workbench.compare.differences import compare
    from workbench.compare.seeds import compare_seeds, has_seed_groups

    opened = [Run.open(each, workspace) if isinstance(each, str) else each for each in runs]
    seeds = compare_seeds(opened, metric) if has_seed_groups(opened) else None
    return Comparison.model_validate(dict(compare(opened, metric)) | {"seeds": seeds})


# -- data and sweeps -------------------------------------------------------------------------------------------------


def load_data(
    source: str | Path | RunSpec,
    task: str | None = None,
    *,
    workspace: Workspace | None = None,
    **options: Any,
) -> Dataset:
    """Load the examples of a data set, split as a run would split them.

    Args:
        source: a name of the catalogue (``workbench data list``), anything else that ``data.train`` names, or a spec.
        task: what the columns are for; by default the spec's or the catalogue's, or ``text-classification``.
        workspace: whose cache is used; the current one by default.
        options: other fields of a spec's ``data``: ``test="test.csv"``, ``columns={"text": "review"}``.

    Returns:
        ``train``, ``valid`` and ``test``, each with ``columns`` and ``ids``; ``notes`` and ``report``.

    Raises:
        DataError: the data cannot be used; the message says where and why.
        FetchError: it could not be downloaded.
    """
    from workbench.data.catalogue.naming import find_entry
    from workbench.data.load import load_data
    from workbench.spec import DataSpec
    from workbench.tasks.base import tasks

    if isinstance(source, RunSpec):
        data = DataSpec.model_validate({**source.data.model_dump(exclude_unset=True), **options})
        task, settings = task or source.task.name, source.task.options
    else:
        entry = find_entry(str(source))
        data = DataSpec.model_validate({"train": str(source), **options})
        task, settings = task or (entry.task if entry else None) or "text-classification", {}
    kind = tasks.get(task)
    columns = kind(kind.Config.model_validate(settings)).columns()
    return load_data(data, columns, workspace or Workspace.current())


def sweep(
    spec: SpecLike,
    over: Mapping[str, Any] | Sequence[str] = (),
    *,
    method: str = "tpe",
    trials: int | None = None,
    seeds: int | Sequence[int] = 1,
    metric: str | None = None,
    prune: bool = False,
    name: str | None = None,
    wait: bool = True,
    quiet: bool = False,
    workspace: Workspace | None = None,
) -> Sweep:
    """Search for the best settings: many runs over the values of some fields.

    Args:
        spec: the run that all trials begin with; see :func:`load_spec`.
        over: the fields that vary, with their values: ``{"training.learning_rate": "1e-5..1e-3:log",
            "tuning.rank": [4, 8, 16]}``. It may be empty with two seeds or more.
        method: ``grid``, ``random``, or ``tpe``, which learns from the trials before.
        trials: how many; by default 20, or every combination of a grid.
        seeds: how many runs each trial has, or their seeds.
        metric: the validation metric to improve; the task's own by default.
        prune: stop trials that are worse than the median of those before.
        name: your name for the sweep.
        wait: until the sweep has ended; otherwise return at once.
        quiet: print nothing.
        workspace: where it runs; the current one by default.

    Returns:
        The sweep; ``best()`` is its best trial.

    Raises:
        SpecError: a value cannot run. Nothing was started.
        MissingPackageError: Optuna is not installed.
    """
    from workbench.jobs.sweep_plan import SweepPlan
    from workbench.jobs.sweeps import Sweep, trial_line
    from workbench.jobs.watching import watch_sweep

    document = {
        "spec": load_spec(spec).model_dump(mode="json", exclude_unset=True),
        "over": dict(over) if isinstance(over, Mapping) else list(over),
        "seeds": seeds if isinstance(seeds, int) else list(seeds),
        **{"method": method, "trials": trials, "metric": metric, "prune": prune, "name": name},
    }
    started = Sweep.create(SweepPlan.parse(document), workspace or Workspace.current())
    for trial in watch_sweep(started) if wait else ():
        if not quiet:
            say(trial_line(trial))
    return started
