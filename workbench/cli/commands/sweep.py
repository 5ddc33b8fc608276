"""``workbench sweep`` and ``workbench sweeps``: search over settings, and look at the searches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.options import change_spec
from workbench.cli.output import Finished, Json, console, errors, print_result, table
from workbench.errors import RequestError, SpecError
from workbench.i18n import _
from workbench.types import JsonObject
from workbench.workspace import Workspace
from workbench.yaml_text import load_yaml

if TYPE_CHECKING:
    from workbench.jobs.sweeps import Sweep, SweepDetails, SweepSummary

Over = Annotated[
    list[str] | None,
    typer.Option(
        "--over",
        metavar="FIELD=VALUES",
        help="A field that varies: training.learning_rate=1e-5..1e-3:log, tuning.rank=4,8,16; "
        "in a grid 0..0.2:5 takes five values. Repeatable.",
    ),
]


def sweep_command(
    spec: Annotated[
        str, typer.Argument(metavar="SPEC", help="A YAML file or a preset; or a YAML file of a sweep (spec and over).")
    ],
    over: Over = None,
    method: Annotated[str | None, typer.Option(help="grid, random, or tpe (learns from the trials before).")] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Number of trials. Default: 20, or all combinations of a grid.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Runs of each trial, with seeds 0, 1, ...")] = None,
    prune: Annotated[
        bool | None, typer.Option("--prune/--no-prune", help="Stop trials that are worse than the median.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Your name for the sweep.")] = None,
    metric: Annotated[str | None, typer.Option(help="The validation metric to improve: eval/accuracy, ...")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the search.")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the spec.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Show its progress until it has ended.")] = True,
    as_json: Json = False,
) -> None:
    """Search for the best settings with many runs.

    The values of some fields vary; or, with --seeds alone, the same run is repeated with several seeds. The sweep
    continues when this command ends.
    """
    from workbench.jobs.sweep_plan import SweepPlan
    from workbench.jobs.sweeps import Sweep

    options: dict[str, Any] = {
        "method": method,
        "trials": trials,
        "seeds": seeds,
        "prune": prune,
        "name": name,
        "metric": metric,
        "seed": seed,
        "over": over,
    }
    document = {**_document(spec), **{key: value for key, value in options.items() if value is not None}}
    plan = SweepPlan.parse({"over": {}, **document}, spec)
    if sets:
        plan.spec = change_spec(plan.spec, sets)
    sweep = Sweep.create(plan, Workspace.current())
    if not as_json:
        runs = plan.size() * len(plan.seeds)
        if plan.over:
            text = _("Sweep {name}: {trials} trials, {runs} runs.").format(
                name=sweep.name, trials=plan.size(), runs=runs
            )
        else:
            text = _("Sweep {name}: {runs} runs.").format(name=sweep.name, runs=runs)
        console.print(text, markup=False)
    if wait:
        _wait(sweep, quiet=as_json)
    print_result(sweep.summary(), as_json, lambda: _show(sweep.summary()))
    if sweep.read()["state"] == "failed":
        raise Finished(1)


def _document(spec: str) -> JsonObject:
    """Return the YAML of a sweep, or one whose ``spec`` is the preset or file of this name."""
    path = Path(spec)
    if path.suffix in {".yaml", ".yml", ".json"} and path.is_file():
        try:
            document = load_yaml(path.read_text(encoding="utf-8"), spec)
        except (ValueError, SpecError):
            document = None  # reading it as a spec raises the error
        if isinstance(document, dict) and {"over", "spec"} & set(document):
            return document
    return {"spec": spec}


def _wait(sweep: Sweep, quiet: bool) -> None:
    """Print each trial when it has ended, until the sweep has. Ctrl-C ends the waiting, not the sweep."""
    from workbench.jobs.sweeps import trial_line
    from workbench.jobs.watching import watch_sweep

    try:
        for trial in watch_sweep(sweep):
            if not quiet:
                console.print(trial_line(trial), markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        if quiet:
            raise
        console.print(_("The sweep continues. Stop it: workbench sweeps {name} --stop").format(name=sweep.name))


def sweeps_command(
    name: Annotated[
        str | None, typer.Argument(metavar="SWEEP", help="One sweep in full. Default: a list of all.")
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Start no more of its runs, and stop those that run.")] = False,
    resume: Annotated[bool, typer.Option("--continue", help="Resume a sweep that was stopped.")] = False,
    as_json: Json = False,
) -> None:
    """List all sweeps, or show one; stop it or resume it."""
    from workbench.jobs.sweeps import Sweep, list_sweeps

    workspace = Workspace.current()
    if name is None:
        if stop or resume:
            raise RequestError("No sweep was named.", "Write: workbench sweeps NAME --stop")
        summaries, damaged = list_sweeps(workspace)
        print_result(summaries, as_json, lambda: _list(summaries))
        for other, reason in damaged.items():
            text = _("Left out: {name!r}. {reason}").format(name=other, reason=reason)
            errors.print(text, style="yellow", markup=False, soft_wrap=True)
        return
    sweep = Sweep.open(name, workspace)
    if stop:
        sweep.stop()
    if resume:
        sweep.resume()
    summary, importance = sweep.summary(), sweep.importance()
    details: SweepDetails = {**summary, "importance": importance}
    print_result(details, as_json, lambda: _show(summary, importance))


def _list(summaries: Sequence[SweepSummary]) -> None:
    rows = [
        {
            "name": summary["name"],
            "state": _(summary["state"]),
            "done": _("{done} of {total}").format(done=summary["trials_done"], total=summary["trials_asked"]),
            "method": summary["method"],
            "best": f"{summary['best']['value']:.4f}" if summary["best"] else None,
            "metric": summary["metric"].removeprefix("eval/"),
        }
        for summary in summaries
    ]
    columns = {
        "name": _("sweep"),
        "state": _("state"),
        "done": ">" + _("trials"),
        "method": _("method"),
        "best": ">" + _("best"),
        "metric": _("validation metric"),
    }
    table(rows, columns, _("There are no sweeps yet. See: workbench sweep --help"))


def _show(summary: SweepSummary, importance: dict[str, float] | None = None) -> None:
    from workbench.jobs.sweeps import value_text

    heading = _("{name}: {state}, {done} of {total} trials").format(
        name=summary["name"],
        state=_(summary["state"]),
        done=summary["trials_done"],
        total=summary["trials_asked"],
    )
    console.print(heading)
    if summary["error"]:
        console.print(summary["error"]["message"], markup=False)
    rows = [
        {
            "trial": str(trial["number"]),
            "state": _(trial["state"]),
            "value": trial["value"],
            **{field: value_text(value) for field, value in trial["values"].items()},
            "runs": list(trial["runs"].values()),
        }
        for trial in summary["trials"]
    ]
    varied = {field: f">{field}" for field in summary["over"]}
    columns = {"trial": ">" + _("trial"), "state": _("state"), "value": f">{summary['metric']}", **varied}
    table(rows, {**columns, "runs": _("runs")}, "")
    for field, share in (importance or {}).items():
        text = _("{field} explains {share:.0%} of the differences").format(field=field, share=share)
        console.print(text, markup=False)
    if summary["best"] and summary["over"]:
        best = summary["best"]
        text = _("Best: trial {number}. workbench show {run}")
        console.print(text.format(number=best["number"], run=next(iter(best["runs"].values()))), markup=False)
    if not summary["over"] and summary["trials"]:
        text = _("Compare its seeds: workbench compare {runs}")
        runs = " ".join(summary["trials"][0]["runs"].values())
        console.print(text.format(runs=runs), markup=False, soft_wrap=True)
