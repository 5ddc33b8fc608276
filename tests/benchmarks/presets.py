"""Every preset as it comes: how long it takes, what it reaches, and what stands beside that.

    python tests/benchmarks/presets.py [--only translate,wikigold-entities]

A run is a process of its own; its seconds are of that whole process, from its start to its report, without the download
of data and weights where these are in the cache already (--warm does each preset once before it is timed). Told is
every metric of the report with its 95% interval, the baseline's value of the same metric and what is gained over it. A
preset that fails is told in its row, and the others go on. As many threads as OMP_NUM_THREADS says.
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

HEAD = ["preset", "seconds", "metric", "reached (95% interval)", "beside it"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(presets()), help="names of presets, with commas between")
    parser.add_argument("--warm", action="store_true", help="do each preset once before it is timed")
    options = parser.parse_args()
    names = options.only.split(",")
    unknown = [name for name in names if name not in presets()]
    if unknown:
        parser.error(f"no preset {', '.join(unknown)}; there are: {', '.join(presets())}")
    workspace = fresh_workspace()
    print(f"{machine()}; threads: {os.environ.get('OMP_NUM_THREADS', 'as torch chooses')}\n")
    rows = []
    for name in names:
        if options.warm:
            measured(name, workspace)
        result = measured(name, workspace)
        rows += result
        for row in result:  # at once, for who looks on
            print("<!-- " + " | ".join(row) + " -->", flush=True)
    print()
    print_table(HEAD, rows)


def measured(name: str, workspace: Workspace) -> list[list[str]]:
    """The lines of one preset: one for each metric."""
    try:
        run = Run.create(resolve(RunSpec.parse(presets()[name].model_dump(mode="json")), workspace).spec, workspace)
    except WorkbenchError as error:
        return [[name, "", "", f"cannot be started: {error}", ""]]
    begun = time.monotonic()
    command = [sys.executable, "-m", "workbench", "run-folder", str(run.folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    seconds = f"{time.monotonic() - begun:.0f}"
    report = run.report()
    if run.state != "succeeded" or report is None:
        why = run.status().error or done.stderr.strip()[-300:]
        return [[name, seconds, "", f"{run.state}: {' '.join(str(why).split())}", ""]]
    return report_rows(name, seconds, report)


def report_rows(name: str, seconds: str, report: Report) -> list[list[str]]:
    """A report's metrics, the primary one first and in bold; name and seconds in the first line only."""
    primary = report.primary_metric
    metrics = sorted(report.metrics.items(), key=lambda item: item[0] != primary)
    rows = [
        ["", "", f"**{metric}**" if metric == primary else metric, with_interval(result), beside(metric, report)]
        for metric, result in metrics
    ]
    rows[0][:2] = [name, seconds]
    return rows


def with_interval(metric: Interval) -> str:
    if metric.low is None or metric.high is None:
        return f"{metric.value:.4g}"
    return f"{metric.value:.4g} ({metric.low:.4g} to {metric.high:.4g})"


def beside(metric: str, report: Report) -> str:
    """What the baseline has, and the paired gain over it where the report tells it."""
    parts = []
    value = report.baseline.get(metric)
    if value is not None:
        parts.append(f"{value:.4g} ({report.baseline_name or 'baseline'})")
    gain = report.gain.get(metric)
    if gain is not None:
        parts.append(f"gain {with_interval(gain)}")
    return "; ".join(parts)


if __name__ == "__main__":
    main()
