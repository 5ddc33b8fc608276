"""Sweeps and the queue on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from workbench.cli.output import Finished, Json, answer, console, table
from workbench.errors import RequestError
from workbench.runs.run import Run
from workbench.workspace import Workspace

Over = Annotated[
    list[str] | None,
    typer.Option(
        "--over",
        metavar="FIELD=VALUES",
        help="A field that varies: training.learning_rate=1e-5..1e-3:log, tuning.rank=4,8,16; "
        "in a grid 0..0.2:5 takes five values.",
    ),
]
SweepName = Annotated[str, typer.Argument(metavar="SWEEP", help="As `workbench sweeps` lists it.")]


def sweep(
    spec: Annotated[
        str, typer.Argument(metavar="SPEC", help="A YAML file or a preset; or a YAML file of a sweep (spec and over).")
    ],
    over: Over = None,
    method: Annotated[str | None, typer.Option(help="grid, random, or tpe (learns from the trials before).")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="How many; 20, or all of a grid, if left out.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Runs of each trial, with seeds 0, 1, ...")] = None,
    prune: Annotated[
        bool | None, typer.Option("--prune/--no-prune", help="Give up trials that are worse than the median.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Your name for the sweep.")] = None,
    metric: Annotated[str | None, typer.Option(help="The validation figure to improve: eval/accuracy ...")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the search.")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the spec.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Show its progress until it has ended.")] = True,
    as_json: Json = False,
) -> None:
    """Search for the best settings: many runs over the values of some fields; or, with --seeds alone, the same run with
    several seeds. It goes on when this ends."""
    from workbench.jobs.sweeps import Sweep, SweepPlan

    asked: dict[str, Any] = {
        "method": method,
        "trials": trials,
        "seeds": seeds,
        "prune": prune,
        "name": name,
        "metric": metric,
    }
    asked |= {"seed": seed, "over": over}
    document = {**_document(spec), **{key: value for key, value in asked.items() if value is not None}}
    plan = SweepPlan.parse({"over": {}, **document}, spec)
    if sets:
        plan.spec = plan.spec.changed(_changes(sets))
    made = Sweep.create(plan, Workspace.current())
    if not as_json:
        trials_told = f"{plan.size()} trials, " if plan.over else ""
        console.print(f"Sweep {made.name}: {trials_told}{plan.size() * len(plan.seeds)} runs.", markup=False)
    if wait:
        _await(made, quiet=as_json)
    answer(made.summary(), as_json, lambda: _show(made.summary()))
    if made.read()["state"] == "failed":
        raise Finished(1)


def _document(spec: str) -> dict[str, Any]:
    """The YAML of a sweep, or one whose ``spec`` is the preset or file of this name."""
    path = Path(spec)
    if path.suffix in {".yaml", ".yml", ".json"} and path.is_file():
        try:
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (ValueError, yaml.YAMLError):
            found = None  # reading it as a spec says what is wrong with it
        if isinstance(found, dict) and {"over", "spec"} & set(found):
            return found
    return {"spec": spec}


def _changes(sets: list[str]) -> dict[str, Any]:
    from workbench.cli.commands import _changes as read

    return read(sets)


def _await(made: Any, quiet: bool) -> None:
    """Look on until the sweep has ended. Ctrl-C ends the looking on, not the sweep."""
    from workbench.jobs.sweeps import trial_line
    from workbench.jobs.watching import watch_sweep

    try:
        for trial in watch_sweep(made):
            if not quiet:
                console.print(trial_line(trial), markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        if quiet:
            raise
        console.print(f"The sweep goes on. Stop it: workbench sweeps {made.name} --stop")


def sweeps(
    name: Annotated[str | None, typer.Argument(metavar="SWEEP", help="One sweep in full; all if left out.")] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Start no more of its runs, and stop those that run.")] = False,
    go_on: Annotated[bool, typer.Option("--continue", help="Go on with a sweep that was stopped.")] = False,
    as_json: Json = False,
) -> None:
    """List all sweeps, or tell all about one; stop it, or go on with it."""
    from workbench.jobs.sweeps import Sweep

    workspace = Workspace.current()
    if name is None:
        if stop or go_on:
            raise RequestError("No sweep was named.", "Write: workbench sweeps NAME --stop")
        found = [each.summary() for each in Sweep.all(workspace)]
        answer(found, as_json, lambda: _list(found))
        return
    one = Sweep.open(name, workspace)
    if stop:
        one.stop()
    if go_on:
        one.resume()
    summary = {**one.summary(), "importance": one.importance()}
    answer(summary, as_json, lambda: _show(summary))


def _list(found: list[dict[str, Any]]) -> None:
    rows = [
        {
            "name": each["name"],
            "state": each["state"],
            "done": f"{each['trials_done']} of {each['trials_asked']}",
            "method": each["method"],
            "best": f"{each['best']['value']:.4f}" if each["best"] else None,
            "metric": each["metric"].removeprefix("eval/"),
        }
        for each in found
    ]
    columns = {"name": "sweep", "state": "state", "done": ">trials", "method": "method", "best": ">best"}
    table(rows, {**columns, "metric": "validation figure"}, "There are no sweeps yet. See: workbench sweep --help")


def _show(found: dict[str, Any]) -> None:
    from workbench.jobs.sweeps import short

    console.print(f"{found['name']}: {found['state']}, {found['trials_done']} of {found['trials_asked']} trials")
    if found["error"]:
        console.print(found["error"]["message"], markup=False)
    rows = [
        {
            "trial": str(trial["number"]),
            "state": trial["state"],
            "value": trial["value"],
            **{field: short(value) for field, value in trial["values"].items()},
            "runs": list(trial["runs"].values()),
        }
        for trial in found["trials"]
    ]
    varied = {field: f">{field}" for field in found["over"]}
    table(rows, {"trial": ">trial", "state": "state", "value": f">{found['metric']}", **varied, "runs": "runs"}, "")
    for field, share in found.get("importance", {}).items():
        console.print(f"{field} explains {share:.0%} of the differences", markup=False)
    if found["best"] and found["over"]:
        best = found["best"]
        console.print(f"Best: trial {best['number']}. workbench show {next(iter(best['runs'].values()))}", markup=False)
    if not found["over"] and found["trials"]:
        ids = " ".join(found["trials"][0]["runs"].values())
        console.print(f"Its seeds: workbench compare {ids}", markup=False, soft_wrap=True)


def queue(
    pause: Annotated[bool, typer.Option("--pause", help="Start no more runs; those that run go on.")] = False,
    go_on: Annotated[bool, typer.Option("--continue", help="Start runs again.")] = False,
    first: Annotated[str | None, typer.Option(metavar="RUN", help="Put this run first.")] = None,
    last: Annotated[str | None, typer.Option(metavar="RUN", help="Put this run last.")] = None,
    cancel: Annotated[str | None, typer.Option(metavar="RUN", help="Take this run out; it can be resumed.")] = None,
    as_json: Json = False,
) -> None:
    """Tell what runs next and why it waits; change the order, pause, go on."""
    from workbench import jobs

    workspace = Workspace.current()
    if pause and go_on:
        raise RequestError("--pause and --continue exclude each other.", "Choose one.")
    for run_id, position in ((first, 0), (last, 2**31)):
        if run_id:
            jobs.move(Run.open(run_id, workspace), position)
    if cancel and not jobs.cancel(run := Run.open(cancel, workspace)):
        raise RequestError(f"The run {run.id} is {run.state}, not queued.", f"Stop it: workbench stop {run.id}")
    if pause:
        jobs.pause(workspace)
    if go_on:
        jobs.unpause(workspace)
    found = jobs.queue_status(workspace)
    answer(found, as_json, lambda: _show_queue(found))


def _show_queue(found: dict[str, Any]) -> None:
    console.print(found["why"], markup=False)
    rows = [{"place": "running", "run": run_id} for run_id in found["running"]]
    rows += [{"place": str(place), "run": run_id} for place, run_id in enumerate(found["queued"], start=1)]
    if rows:
        table(rows, {"place": ">place", "run": "run"}, "")
