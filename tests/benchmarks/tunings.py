"""Compare all fine-tuning methods on two tasks: trainable weights, metric, time, memory and size.

    python tests/benchmarks/tunings.py [--seeds 3] [--data banking77,wnut17] [--tunings full,lora] [--limit 2000]

MiniLM on banking77 (intents of bank customers, 77 classes) and wnut17 (names in posts). Each method uses the defaults
of its options and the default peak learning rate. Each run is a separate process, so that its peak memory is its own.
The table has the mean of the metric over seeds with Student's 95% interval, and medians of the costs. With the default
options this takes about three hours on two cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from typing import Any

from _common import fresh_workspace, machine, print_table
from scipy import stats

from workbench.check import resolve
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.tuning.base import tunings
from workbench.workspace import Workspace

TASKS = {
    "banking77": {"task": "text-classification", "epochs": 5},
    "wnut17": {"task": "token-classification", "epochs": 5},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", default=",".join(TASKS))
    parser.add_argument("--tunings", default=",".join(tunings.names()))
    parser.add_argument("--limit", type=int, help="training examples (default: all)")
    parser.add_argument("--valid", type=int, help="validation examples (default: all)")
    parser.add_argument("--test", type=int, help="test examples (default: all)")
    parser.add_argument("--rate", type=float, help="peak learning rate of every method (default: its own)")
    options = parser.parse_args()
    workspace = fresh_workspace()
    limit = {"train": options.limit, "valid": options.valid, "test": options.test}
    print(f"{machine()}; {options.seeds} seeds; limits {limit}; {os.environ.get('OMP_NUM_THREADS', 'all')} threads")
    for data in options.data.split(","):
        rows = []
        for method in options.tunings.split(","):
            runs = [execute_run(data, method, seed, limit, options.rate, workspace) for seed in range(options.seeds)]
            rows.append(table_row(method, runs, TASKS[data]["epochs"]))
            print(f"<!-- {data}: {' | '.join(rows[-1])} -->", flush=True)
        metric = runs[0].report().primary_metric.replace("_", " ")
        print(f"\n### {data}, {TASKS[data]['epochs']} epochs\n")
        head = [
            "tuning",
            "peak rate",
            "trainable",
            "share",
            f"{metric} (95% interval)",
            "seconds per epoch",
            "peak MB",
            "MB on disk",
        ]
        print_table(head, rows)


def execute_run(
    data: str, method: str, seed: int, limit: dict[str, int | None], rate: float | None, workspace: Workspace
) -> Run:
    """Execute a run in a separate process; exit if it fails."""
    settings = TASKS[data]
    spec: dict[str, Any] = {
        "name": f"{data} {method} {seed}",
        "task": settings["task"],
        "data": {"train": data, "max_length": 64, "limit": limit},
        "model": "minilm",
        "tuning": method,
        "training": {"epochs": settings["epochs"], "batch_size": 32, "seed": seed},
    }
    if rate is not None:
        spec["training"]["learning_rate"] = rate
    run = Run.create(resolve(RunSpec.parse(spec), workspace).spec, workspace)
    subprocess.run([sys.executable, "-m", "workbench", "run-folder", str(run.folder)], check=True, capture_output=True)
    if run.state != "succeeded":
        raise SystemExit(f"The run {run.id} is {run.state}: {run.status().error}")
    return run


def table_row(method: str, runs: list[Run], epochs: int) -> list[str]:
    """Format a row of the table."""
    reports = [run.report() for run in runs]
    costs = [report.cost for report in reports]
    trainable, total = costs[0].trained_parameters, costs[0].total_parameters
    values = [report.metrics[report.primary_metric].value for report in reports]
    size = sum(file.stat().st_size for file in (runs[0].folder / "model").glob("*.safetensors"))
    return [
        method,
        f"{runs[0].spec().training.learning_rate:g}",
        f"{trainable:,}",
        f"{trainable / total:.2%}",
        with_interval(values),
        f"{statistics.median(cost.seconds for cost in costs) / epochs:.1f}",
        f"{statistics.median(cost.peak_memory_bytes for cost in costs) / 1e6:.0f}",
        f"{size / 1e6:.1f}",
    ]


def with_interval(values: list[float]) -> str:
    """Format the mean and Student's 95% interval over seeds."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.3f}"
    margin = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.3f} ({mean - margin:.3f} to {mean + margin:.3f})"


if __name__ == "__main__":
    main()
