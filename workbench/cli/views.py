"""What the commands show to people: tables, progress, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from workbench.cli.output import console, duration, errors, hanging, table
from workbench.jobs import RunSnapshot, stop, watch
from workbench.runs.documents import Estimate, Interval, Report, RunSummary
from workbench.runs.run import Run
from workbench.workspace import Workspace

MARKS = {"queued": "…", "running": "▶", "succeeded": "✓", "failed": "✗", "stopped": "■", "interrupted": "!"}


def show_progress(run: Run, workspace: Workspace, quiet: bool) -> None:
    """Show a run's progress on standard error until it has ended. Ctrl-C asks it to stop, a second one leaves it."""
    asked = False
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, disable=quiet, transient=True) as progress:
        bar = progress.add_task("waiting", total=None)
        snapshots = watch(run, workspace)
        while True:
            try:
                snapshot = next(snapshots, None)
                if snapshot is None:
                    return
                _draw(progress, bar, snapshot, asked)
            except KeyboardInterrupt:
                if asked:
                    raise
                asked = True
                errors.print("Stopping after a checkpoint; press Ctrl-C again to wait no longer.")
                stop(run)
                snapshots = watch(run, workspace)


def _draw(progress: Progress, bar: Any, snapshot: RunSnapshot, asked: bool) -> None:
    now = snapshot.status.progress
    for row in snapshot.rows:
        if "eval/loss" in row:
            figures = "  ".join(f"{name[5:]} {value:.4f}" for name, value in row.items() if name.startswith("eval/"))
            progress.console.print(f"  step {row['step']}, epoch {row['epoch']:.1f}: {figures}", markup=False)
    if snapshot.ahead is not None:
        progress.update(bar, description=f"waiting, {snapshot.ahead} ahead" if snapshot.ahead else "starting")
    elif now:
        done, total = (now.step, now.steps) if now.phase == "training" else (now.done, now.total)
        text = "stopping" if asked else escape(now.phase or "")
        progress.update(bar, description=text, completed=done or 0, total=total)


@contextmanager
def telling(quiet: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A bar on standard error that shows what it is told: ``{"phase", "done", "total"}``."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=errors, disable=quiet, transient=True) as progress:
        bar = progress.add_task("starting", total=None)
        yield lambda now: progress.update(
            bar, description=escape(str(now.get("phase", ""))), completed=now.get("done") or 0, total=now.get("total")
        )


def show_estimate(found: Estimate) -> None:
    """Time, memory and weights, as ranges, and what they rest on."""
    lines = [
        f"Whole run   {_range(found.total_seconds, duration)}",
        f"Training    {_range(found.seconds, duration)}: {found.steps:,} steps of {found.seconds_per_step:.2g} s, "
        f"{found.evaluations:,} evaluations of {found.seconds_per_evaluation:.2g} s",
        f"Memory      {_range(found.peak_memory_bytes, gigabytes)} at most",
        f"Weights     {found.trained_parameters:,} of {found.total_parameters:,} are trained",
        f"Measured    {found.measured_steps} steps on {found.device}, {found.machine}; it took "
        f"{duration(found.took_seconds)}",
        *(f"            {note}" for note in found.notes),
    ]
    console.print("\n".join(lines), markup=False, soft_wrap=True)


def _range(estimate: Interval, text_of: Callable[[float], str]) -> str:
    value, low, high = (text_of(number or 0.0) for number in (estimate.value, estimate.low, estimate.high))
    return f"about {value} ({low} to {high})"


def gigabytes(count: float) -> str:
    """Bytes in GB or MB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def show_runs(runs: Sequence[RunSummary], otherwise: str = "") -> None:
    rows = []
    for run in runs:
        report = run.report or Report()
        value = report.primary
        rows.append(
            {
                "id": run.id,
                "state": f"{MARKS.get(run.state, '?')} {run.state}",
                "result": f"{report.primary_metric} {_with_interval(value)}" if value else _suggestion(report),
                "seconds": duration(report.cost.seconds),
            }
        )
    columns = {
        "id": "run",
        "state": "state",
        "result": "result (95% interval)",
        "seconds": ">training",
    }
    table(rows, columns, otherwise or "There are no runs yet. Begin with: workbench demo")


def _suggestion(report: Report) -> str | None:
    """Return what a range test suggests, in a few words; None for other runs."""
    result = report.range_test
    if not result:
        return None
    if result.suggestion is None:
        return "no learning rate suggested"
    return f"suggests learning rate {result.suggestion:.2g}"


def _with_interval(metric: Interval | None) -> str | None:
    if metric is None or metric.value is None:
        return None
    if metric.low is None:
        return f"{metric.value:.4f}"
    return f"{metric.value:.4f} ({metric.low:.4f} to {metric.high:.4f})"


def show_run(summary: RunSummary, brief: bool = False, page: Path | None = None) -> None:
    heading = f"{MARKS.get(summary.state, '?')} {summary.id}  {summary.state}"
    console.print(heading, style="bold", markup=False, soft_wrap=True)
    if summary.report:
        _show_report(summary.report)
    elif summary.progress and summary.state == "running":
        now = summary.progress
        steps = "?" if now.steps is None else now.steps
        console.print(f"{now.phase}: step {now.step or 0} of {steps}", markup=False)
    if not brief:
        _show_samples(summary.samples)
        if summary.error:
            console.print(f"{summary.error.message}\n{summary.error.hint}", style="red", markup=False)
        if summary.spec:
            import yaml

            console.print("\n" + yaml.safe_dump(summary.spec, sort_keys=False, allow_unicode=True), markup=False)
    if page is not None:
        console.print(f"Written: {page}", markup=False)


def _show_report(report: Report) -> None:
    _show_metrics(report)
    if report.range_test:
        console.print(report.range_test.how, markup=False, soft_wrap=True)
    _show_cost(report)
    for note in report.notes:
        console.print(f"Note: {note}", markup=False, soft_wrap=True)


def _show_metrics(report: Report) -> None:
    """Each metric, the baseline's value, and what is gained over it where the report tells that."""
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
    columns = {"metric": "metric", "value": ">value (95% interval)", "baseline": ">baseline"}
    if rows:
        table(rows, {**columns, "gain": ">better by (95% interval)"} if report.gain else columns, "")


def _show_samples(samples: Sequence[dict[str, Any]]) -> None:
    """Texts that the model has written: what it was given, and how it went on."""
    if samples:
        console.print(f"\nWritten after step {samples[0].get('step', '?')}:", style="bold", markup=False)
    for sample in samples:
        hanging(f"{sample.get('prompt') or '(nothing given)'} → {sample['text']}")


def _show_cost(report: Report) -> None:
    cost, estimate = report.cost, report.estimate
    trained, total = cost.trained_parameters or 0, cost.total_parameters or 0
    baseline = f"Baseline: {report.baseline_name}.\n" if report.baseline_name else ""
    peak = f"{cost.mfu:.1%} of the device's peak ({cost.peak_flops_source}), " if cost.mfu else ""
    console.print(
        f"{baseline}Cost: {duration(cost.seconds)} of training, "
        f"{cost.tokens_per_second or 0:,.0f} tokens/s, {peak}peak memory {(cost.peak_memory_bytes or 0) / 1e9:.1f} GB, "
        f"{trained:,} of {total:,} parameters trained ({trained / max(1, total):.2%}).",
        markup=False,
    )
    if estimate is not None and cost.seconds and cost.peak_memory_bytes:
        seconds, memory = estimate.seconds, estimate.peak_memory_bytes
        console.print(
            f"Estimated before: {duration(seconds.value)} of training "
            f"({seconds.relative_error(cost.seconds):+.0%}), {gigabytes(memory.value or 0)} "
            f"({memory.relative_error(cost.peak_memory_bytes):+.0%}).",
            markup=False,
        )


def show_comparison(found: dict[str, Any], runs: Sequence[Run]) -> None:
    rows = []
    for run in runs:
        report = run.report() or Report()
        rows.append(
            {
                "run": run.id,
                "value": _with_interval(report.metrics.get(found["metric"])),
                "training": duration(report.cost.seconds),
                "trained": report.cost.trained_parameters,
            }
        )
    columns = {
        "run": "run",
        "value": f">{found['metric']} (95% interval)",
        "training": ">training",
        "trained": ">trained weights",
    }
    table(rows, columns, "")
    seeds = found.get("seeds")
    said = [pair["verdict"] for pair in (seeds or found)["pairs"]] + (seeds["notes"] if seeds else [])
    console.print()
    for sentence in said:
        console.print(sentence, markup=False, soft_wrap=True)


def show_problems(problems: Sequence[dict[str, str]], full: str) -> None:
    for problem in problems:
        console.print(f"{problem['severity']}: {problem['field']}", style="bold", markup=False, soft_wrap=True)
        for text in filter(None, (problem["message"], problem["hint"])):
            hanging(text)
    if not problems:
        console.print("No problem was found.")
    if full:
        console.print("\n" + full, markup=False)


def show_entries(entries: Sequence[dict[str, Any]]) -> None:
    for entry in entries:
        console.print(entry.get("form", entry["name"]), style="bold", markup=False, soft_wrap=True)
        hanging(entry["label"])
        for option in entry["options"]:
            hanging(f"{option['name']} = {_as_yaml(option['default'])}   {option['help']}", indent=8)


def _as_yaml(value: Any) -> str:
    """A default as a spec writes it."""
    import yaml

    return str(yaml.safe_dump(value, default_flow_style=True)).removesuffix("...\n").strip()
