"""What commands show to people: tables of runs, results, verdicts, problems, entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict

import yaml

from workbench.cli.output import NOTHING, console, duration, errors, gigabytes, hanging, show_notes, table
from workbench.i18n import _
from workbench.runs.documents import Estimate, Interval, Report, RunSummary
from workbench.runs.run import Run
from workbench.runs.stalled import may_be_forced, seconds_since_stop, seconds_without_progress
from workbench.types import Json, JsonObject
from workbench.yaml_text import dump_yaml

if TYPE_CHECKING:
    from workbench.compare.results import Comparison

MARKS = {"queued": "…", "running": "▶", "succeeded": "✓", "failed": "✗", "stopped": "■", "interrupted": "!"}


class OptionEntry(TypedDict):
    """An option of an entry: its name, its default as JSON, and its description."""

    name: str
    default: Json
    help: str | None


class Entry(TypedDict):
    """An entry of a registry, as ``--json`` prints it; ``form`` shows how a model with an argument is written."""

    name: str
    label: str
    options: list[OptionEntry]
    form: NotRequired[str]


def show_estimate(estimate: Estimate) -> None:
    """Print time, memory and weights as ranges, and what they are based on.

    Args:
        estimate: estimate of a spec.
    """
    training = _("{range}: {steps:,} steps of {step:.2g} s, {evaluations:,} evaluations of {evaluation:.2g} s").format(
        range=_range(estimate.seconds, duration),
        steps=estimate.steps,
        step=estimate.seconds_per_step,
        evaluations=estimate.evaluations,
        evaluation=estimate.seconds_per_evaluation,
    )
    weights = _("{trained:,} of {total:,} are trained").format(
        trained=estimate.trained_parameters, total=estimate.total_parameters
    )
    measured = _("{steps} steps on {device}, {machine}; it took {time}").format(
        steps=estimate.measured_steps,
        device=estimate.device,
        machine=estimate.machine,
        time=duration(estimate.took_seconds),
    )
    memory = _("{range} at most").format(range=_range(estimate.peak_memory_bytes, gigabytes))
    rows = [
        (_("Whole run"), _range(estimate.total_seconds, duration)),
        (_("Training"), training),
        (_("Memory"), memory),
        (_("Weights"), weights),
        (_("Measured"), measured),
        *(("", note) for note in estimate.notes),
    ]
    lines = [f"{name:<12}{text}" for name, text in rows]
    console.print("\n".join(lines), markup=False, soft_wrap=True)


def _range(interval: Interval, text_of: Callable[[float], str]) -> str:
    value, low, high = (text_of(number or 0.0) for number in (interval.value, interval.low, interval.high))
    return _("about {value} ({low} to {high})").format(value=value, low=low, high=high)


def show_runs(runs: Sequence[RunSummary], empty: str = "") -> None:
    """Print a table of runs.

    Args:
        runs: their summaries.
        empty: what to print when there are none.
    """
    rows = []
    for run in runs:
        report = run.report or Report()
        rows.append(
            {
                "id": run.id,
                "state": _state(run),
                "result": f"{report.primary_metric} {_with_interval(report.primary)}"
                if report.primary
                else _suggestion(report),
                "seconds": duration(report.cost.seconds),
            }
        )
    columns = {
        "id": _("run"),
        "state": _("state"),
        "result": _("result (95% interval)"),
        "seconds": ">" + _("training"),
    }
    table(rows, columns, empty or _("There are no runs yet. Start with: workbench demo"))


def show_strangers(names: Sequence[str]) -> None:
    """Name on standard error what is in the folder of the runs and is no run.

    Args:
        names: of files and folders.
    """
    if names:
        shown = ", ".join(repr(name) for name in names[:5]) + (" ..." if len(names) > 5 else "")
        text = _(
            "Not a run, and left out: {names}. A run is a folder whose name has letters, digits, '.', '_' and '-'."
        )
        errors.print(text.format(names=shown), style="yellow", markup=False, soft_wrap=True)


def _state(run: RunSummary) -> str:
    return f"{MARKS.get(run.state, '?')} {_(run.state)}"


def _suggestion(report: Report) -> str | None:
    """Return what a range test suggests, in a few words; None for other runs."""
    result = report.range_test
    if not result:
        return None
    if result.suggestion is None:
        return _("no learning rate suggested")
    return _("suggests learning rate {rate:.2g}").format(rate=result.suggestion)


def _with_interval(metric: Interval | None) -> str | None:
    if metric is None or metric.value is None:
        return None
    if metric.low is None or metric.high is None:
        return f"{metric.value:.4f}"
    return _("{value:.4f} ({low:.4f} to {high:.4f})").format(value=metric.value, low=metric.low, high=metric.high)


def show_run(
    summary: RunSummary, brief: bool = False, page: Path | None = None, data_notes: Sequence[str] = ()
) -> None:
    """Print what there is to know about a run.

    Args:
        summary: summary of the run.
        brief: without samples, error and spec.
        page: the HTML file that was written.
        data_notes: notes on the data, for a run that has no report yet.
    """
    heading = f"{MARKS.get(summary.state, '?')} {summary.id}  {_(summary.state)}"
    console.print(heading, style="bold", markup=False, soft_wrap=True)
    if summary.report:
        _show_report(summary.report)
    elif summary.progress and summary.state == "running":
        now = summary.progress
        line = _("{phase}: step {step} of {steps}").format(
            phase=_(now.phase or ""), step=now.step or 0, steps="?" if now.steps is None else now.steps
        )
        console.print(line, markup=False)
    _show_stalled(summary)
    if not summary.report:
        show_notes(data_notes)
    if not brief:
        _show_samples(summary.samples)
        if summary.error:
            console.print(f"{summary.error.message}\n{summary.error.hint}", style="red", markup=False)
        if summary.spec:
            console.print("\n" + dump_yaml(summary.spec), markup=False)
    if page is not None:
        console.print(_("Written: {path}").format(path=page), markup=False)


def _show_stalled(summary: RunSummary) -> None:
    """Print that a run makes no progress, or does not end, and how to end it."""
    idle, since_stop = seconds_without_progress(summary), seconds_since_stop(summary)
    if idle is not None:
        console.print(_("No progress for {n} minutes.").format(n=round(idle / 60)), style="red", markup=False)
    if since_stop is not None and (idle is not None or may_be_forced(summary)):
        text = _("It was asked to stop {n} s ago and has not ended.").format(n=round(since_stop))
        console.print(text, style="red", markup=False)
    if idle is not None or may_be_forced(summary):
        text = _("End it by force: workbench stop {id} --kill-after 10").format(id=summary.id)
        console.print(text, markup=False, soft_wrap=True)


def _show_report(report: Report) -> None:
    _show_metrics(report)
    if report.range_test:
        console.print(report.range_test.how, markup=False, soft_wrap=True)
    _show_cost(report)
    show_notes(report.marked_notes())


def _show_metrics(report: Report) -> None:
    """Print each metric, the baseline's value, and the improvement over it where the report has one."""
    from workbench.metrics.measures import scale_note  # it brings numpy

    rows = [
        {
            "metric": name + scale_note(name),
            "value": _with_interval(value),
            "baseline": report.baseline.get(name),
            "gain": _with_interval(report.gain.get(name)),
        }
        for name, value in report.metrics.items()
    ]
    columns = {
        "metric": _("metric"),
        "value": ">" + _("value (95% interval)"),
        "baseline": ">" + _("baseline"),
    }
    if report.gain:
        columns["gain"] = ">" + _("better by (95% interval)")
    if rows:
        table(rows, columns, "")


def _show_samples(samples: Sequence[JsonObject]) -> None:
    """Print texts that the model generated, each with its prompt."""
    if samples:
        heading = _("Generated after step {step}:").format(step=samples[0].get("step", "?"))
        console.print(f"\n{heading}", style="bold", markup=False)
    for sample in samples:
        hanging(f"{sample.get('prompt') or _('(no prompt)')} → {sample['text']}")


def _show_cost(report: Report) -> None:
    cost, estimate = report.cost, report.estimate
    trained, total = cost.trained_parameters or 0, cost.total_parameters or 0
    if report.baseline_name:
        console.print(_("Baseline: {name}.").format(name=report.baseline_name), markup=False)
    items = [
        _("{time} of training").format(time=duration(cost.seconds)),
        _("{speed:,.0f} tokens/s").format(speed=cost.tokens_per_second or 0),
        _("peak memory {memory:.1f} GB").format(memory=(cost.peak_memory_bytes or 0) / 1e9),
        _("{trained:,} of {total:,} parameters trained ({share:.2%})").format(
            trained=trained, total=total, share=trained / max(1, total)
        ),
    ]
    if cost.mfu:
        share = _("{share:.1%} of the device's peak ({source})")
        items.insert(2, share.format(share=cost.mfu, source=cost.peak_flops_source))
    console.print(_("Cost: {items}.").format(items=", ".join(items)), markup=False)
    if estimate is not None and cost.seconds and cost.peak_memory_bytes:
        seconds, memory = estimate.seconds, estimate.peak_memory_bytes
        line = _("Estimated before: {time} of training ({time_error:+.0%}), {memory} ({memory_error:+.0%}).")
        console.print(
            line.format(
                time=duration(seconds.value),
                time_error=seconds.relative_error(cost.seconds),
                memory=gigabytes(memory.value or 0),
                memory_error=memory.relative_error(cost.peak_memory_bytes),
            ),
            markup=False,
        )


def show_comparison(comparison: Comparison, runs: Sequence[Run]) -> None:
    """Print the metric of each run, and a verdict for each pair.

    Args:
        comparison: the first run against the others.
        runs: those that were compared.
    """
    metric, seeds = comparison.metric, comparison.seeds
    rows = []
    for run in runs:
        report = run.report() or Report()
        rows.append(
            {
                "run": run.id,
                "value": _with_interval(report.metrics.get(metric)),
                "training": duration(report.cost.seconds),
                "trained": report.cost.trained_parameters,
            }
        )
    columns = {
        "run": _("run"),
        "value": ">" + _("{metric} (95% interval)").format(metric=metric),
        "training": ">" + _("training"),
        "trained": ">" + _("trained weights"),
    }
    table(rows, columns, "")
    console.print()
    shown = seeds or comparison
    sentences = [*(pair.verdict for pair in shown.pairs), *shown.notes]
    for sentence in sentences:
        console.print(sentence, markup=False, soft_wrap=True)


def show_problems(problems: Sequence[Mapping[str, str]], resolved: str) -> None:
    """Print the problems of a spec, and the spec with every default where it can run.

    The spec is then alone on standard output, so that it can be written to a file, and the problems are on standard
    error.

    Args:
        problems: ``{"severity", "field", "message", "hint"}`` each.
        resolved: YAML; empty when the spec cannot run.
    """
    target = errors if resolved else console
    for problem in problems:
        heading = f"{_(problem['severity'])}: {problem['field']}"
        target.print(heading, style="bold", markup=False, soft_wrap=True)
        for text in filter(None, (problem["message"], problem["hint"])):
            hanging(text, target=target)
    if not problems:
        target.print(_("No problems found."))
    if resolved:
        console.print(resolved, markup=False, soft_wrap=True, end="")


def show_entries(entries: Sequence[Entry]) -> None:
    """Print the entries of a registry with their options.

    Args:
        entries: the result of :func:`workbench.cli.commands.entries.list_entries`.
    """
    for entry in entries:
        console.print(entry.get("form", entry["name"]), style="bold", markup=False, soft_wrap=True)
        hanging(_(entry["label"]))
        for option in entry["options"]:
            description = _(option["help"]) if option["help"] else NOTHING
            hanging(f"{option['name']} = {_as_yaml(option['default'])}   {description}", indent=8)


def _as_yaml(value: Json) -> str:
    """Return a default as a spec writes it."""
    return str(yaml.safe_dump(value, default_flow_style=True)).removesuffix("...\n").strip()
