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
from workbench.runs.estimates import Estimate, Expected
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
    now = snapshot.status.get("progress") or {}
    for row in snapshot.rows:
        if "eval/loss" in row:
            figures = "  ".join(f"{name[5:]} {value:.4f}" for name, value in row.items() if name.startswith("eval/"))
            progress.console.print(f"  step {row['step']}, epoch {row['epoch']:.1f}: {figures}", markup=False)
    if snapshot.ahead is not None:
        progress.update(bar, description=f"waiting, {snapshot.ahead} ahead" if snapshot.ahead else "starting")
    elif now:
        training = now.get("phase") == "training"
        done, total = (now.get("step"), now.get("steps")) if training else (now.get("done"), now.get("total"))
        text = "stopping" if asked else escape(str(now.get("phase", "")))
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


def _range(figure: Expected, told: Callable[[float], str]) -> str:
    return f"about {told(figure.value)} ({told(figure.low)} to {told(figure.high)})"


def gigabytes(count: float) -> str:
    """Bytes in GB or MB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def show_runs(runs: Sequence[dict[str, Any]], otherwise: str = "") -> None:
    rows = []
    for run in runs:
        report = run["report"] or {}
        metric = report.get("primary_metric")
        value = (report.get("metrics") or {}).get(metric) if metric else None
        rows.append(
            {
                "id": run["id"],
                "state": f"{MARKS.get(run['state'], '?')} {run['state']}",
                "result": f"{metric} {_with_interval(value)}" if value else _suggestion(report),
                "seconds": duration((report.get("cost") or {}).get("seconds")),
            }
        )
    columns = {
        "id": "run",
        "state": "state",
        "result": "result (95% interval)",
        "seconds": ">training",
    }
    table(rows, columns, otherwise or "There are no runs yet. Begin with: workbench demo")


def _suggestion(report: dict[str, Any]) -> str | None:
    """What a range test has found, in a few words; None for other runs."""
    found = report.get("range_test")
    if not found:
        return None
    return (
        "no learning rate suggested"
        if found["suggestion"] is None
        else f"suggests learning rate {found['suggestion']:.2g}"
    )


def _with_interval(value: dict[str, float] | None) -> str | None:
    if value is None:
        return None
    if value.get("low") is None:
        return f"{value['value']:.4f}"
    return f"{value['value']:.4f} ({value['low']:.4f} to {value['high']:.4f})"


def show_run(summary: dict[str, Any], brief: bool = False, page: Path | None = None) -> None:
    heading = f"{MARKS.get(summary['state'], '?')} {summary['id']}  {summary['state']}"
    console.print(heading, style="bold", markup=False, soft_wrap=True)
    if summary["report"]:
        _show_report(summary["report"])
    elif summary.get("progress") and summary["state"] == "running":
        now = summary["progress"]
        console.print(f"{now.get('phase')}: step {now.get('step', 0)} of {now.get('steps', '?')}", markup=False)
    if not brief:
        _show_samples(summary.get("samples") or [])
        if summary["error"]:
            console.print(f"{summary['error']['message']}\n{summary['error']['hint']}", style="red", markup=False)
        if summary.get("spec"):
            import yaml

            console.print("\n" + yaml.safe_dump(summary["spec"], sort_keys=False, allow_unicode=True), markup=False)
    if page is not None:
        console.print(f"Written: {page}", markup=False)


def _show_report(report: dict[str, Any]) -> None:
    _show_metrics(report)
    if report.get("range_test"):
        console.print(report["range_test"]["how"], markup=False, soft_wrap=True)
    _show_cost(report)
    for note in report.get("notes", []):
        console.print(f"Note: {note}", markup=False, soft_wrap=True)


def _show_metrics(report: dict[str, Any]) -> None:
    """Each metric, the baseline's value, and what is gained over it where the report tells that."""
    from workbench.metrics.measures import scale_note  # it brings numpy

    baseline, gain = report.get("baseline") or {}, report.get("gain") or {}
    rows = [
        {
            "metric": name + scale_note(name),
            "value": _with_interval(value),
            "baseline": baseline.get(name),
            "gain": _with_interval(gain.get(name)),
        }
        for name, value in report["metrics"].items()
    ]
    columns = {"metric": "metric", "value": ">value (95% interval)", "baseline": ">baseline"}
    if rows:
        table(rows, {**columns, "gain": ">better by (95% interval)"} if gain else columns, "")


def _show_samples(samples: Sequence[dict[str, Any]]) -> None:
    """Texts that the model has written: what it was given, and how it went on."""
    if samples:
        console.print(f"\nWritten after step {samples[0].get('step', '?')}:", style="bold", markup=False)
    for sample in samples:
        hanging(f"{sample.get('prompt') or '(nothing given)'} → {sample['text']}")


def _show_cost(report: dict[str, Any]) -> None:
    cost = report["cost"]
    share = cost["trained_parameters"] / cost["total_parameters"]
    baseline = f"Baseline: {report['baseline_name']}.\n" if report.get("baseline_name") else ""
    peak = f"{cost['mfu']:.1%} of the device's peak ({cost.get('peak_flops_source')}), " if cost.get("mfu") else ""
    console.print(
        f"{baseline}Cost: {duration(cost['seconds'])} of training, "
        f"{cost['tokens_per_second']:,.0f} tokens/s, {peak}peak memory {cost['peak_memory_bytes'] / 1e9:.1f} GB, "
        f"{cost['trained_parameters']:,} of {cost['total_parameters']:,} parameters trained ({share:.2%}).",
        markup=False,
    )
    expected = Estimate.of(report.get("estimate"))
    if expected is not None:
        console.print(
            f"Estimated before: {duration(expected.seconds.value)} of training "
            f"({expected.seconds.error(cost['seconds']):+.0%}), {gigabytes(expected.peak_memory_bytes.value)} "
            f"({expected.peak_memory_bytes.error(cost['peak_memory_bytes']):+.0%}).",
            markup=False,
        )


def show_comparison(found: dict[str, Any], runs: Sequence[Run]) -> None:
    rows = []
    for run in runs:
        report = run.report() or {}
        value = (report.get("metrics") or {}).get(found["metric"])
        cost = report.get("cost") or {}
        rows.append(
            {
                "run": run.id,
                "value": _with_interval(value),
                "training": duration(cost.get("seconds")),
                "trained": cost.get("trained_parameters"),
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
