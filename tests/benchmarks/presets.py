"""Run every preset unchanged: its time, its metrics, and its baselines.

    python tests/benchmarks/presets.py [--only translate,wikigold-entities]

Each run is a separate process. Its time is that of the whole process from start to report; downloads are not included
if data and weights are already in the cache (``--warm`` runs each preset once before it is timed). The table lists
every metric of the report with its 95% interval, the baseline's value and the improvement over it. If a preset fails,
its row says so and the others continue. OMP_NUM_THREADS sets the number of threads.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from _common import fresh_workspace, machine, print_table

from workbench.check import presets, resolve
from workbench.errors import WorkbenchError
from workbench.runs.documents import Interval, Report
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.workspace import Workspace

HEAD = ["preset", "seconds", "metric", "value (95% interval)", "baseline"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(presets()), help="comma-separated names of presets")
    parser.add_argument("--warm", action="store_true", help="run each preset once before it is timed")
    options = parser.parse_args()
    names = options.only.split(",")
    unknown = [name for name in names if name not in presets()]
    if unknown:
        parser.error(f"no preset {', '.join(unknown)}; choose from {', '.join(presets())}")
    workspace = fresh_workspace()
    print(f"{machine()}; threads: {os.environ.get('OMP_NUM_THREADS', 'as torch chooses')}\n")
    rows = []
    for name in names:
        if options.warm:
            measure(name, workspace)
        preset_rows = measure(name, workspace)
        rows += preset_rows
        for row in preset_rows:  # to follow the progress
            print("<!-- " + " | ".join(row) + " -->", flush=True)
    print()
    print_table(HEAD, rows)


def measure(name: str, workspace: Workspace) -> list[list[str]]:
    """Run a preset; return its rows, one for each metric."""
    try:
        run = Run.create(resolve(RunSpec.parse(presets()[name].model_dump(mode="json")), workspace).spec, workspace)
    except WorkbenchError as error:
        return [[name, "", "", f"cannot be started: {error}", ""]]
    start = time.monotonic()
    command = [sys.executable, "-m", "workbench", "run-folder", str(run.folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    seconds = f"{time.monotonic() - start:.0f}"
    report = run.report()
    if run.state != "succeeded" or report is None:
        reason = run.status().error or done.stderr.strip()[-300:]
        return [[name, seconds, "", f"{run.state}: {' '.join(str(reason).split())}", ""]]
    return report_rows(name, seconds, report)


def report_rows(name: str, seconds: str, report: Report) -> list[list[str]]:
    """Format a report's metrics, the primary one first and in bold; name and seconds only in the first row."""
    primary = report.primary_metric
    metrics = sorted(report.metrics.items(), key=lambda item: item[0] != primary)
    rows = [
        ["", "", f"**{metric}**" if metric == primary else metric, with_interval(value), baseline(metric, report)]
        for metric, value in metrics
    ]
    rows[0][:2] = [name, seconds]
    return rows


def with_interval(metric: Interval) -> str:
    """Format a value with its interval, if it has one."""
    if metric.low is None or metric.high is None:
        return f"{metric.value:.4g}"
    return f"{metric.value:.4g} ({metric.low:.4g} to {metric.high:.4g})"


def baseline(metric: str, report: Report) -> str:
    """Format the baseline's value and the paired improvement over it, if the report has them."""
    texts = []
    value = report.baseline.get(metric)
    if value is not None:
        texts.append(f"{value:.4g} ({report.baseline_name or 'baseline'})")
    gain = report.gain.get(metric)
    if gain is not None:
        texts.append(f"improvement {with_interval(gain)}")
    return "; ".join(texts)


if __name__ == "__main__":
    main()
