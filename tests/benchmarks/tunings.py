"""Every way of tuning on two tasks: what it trains, what it reaches, what it takes.

    python tests/benchmarks/tunings.py [--seeds 3] [--data banking77,wnut17] [--tunings full,lora] [--limit 2000]

MiniLM on banking77 (intents of bank customers, 77 classes) and wnut17 (names in posts), each method with the defaults
of its options and the learning rate that a spec has which names none.
A run is a process of its own, so that its peak of memory is its own. Told are the mean of the metric over seeds with
Student's 95% interval, and of the rest the median. About three hours on two cores as it is.
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
    parser.add_argument("--limit", type=int, help="training examples, where not all are used")
    parser.add_argument("--valid", type=int, help="validation examples, where not all are used")
    parser.add_argument("--test", type=int, help="test examples, where not all are used")
    parser.add_argument("--rate", type=float, help="of learning, for every method in place of its own")
    options = parser.parse_args()
    workspace = fresh_workspace()
    limit = {"train": options.limit, "valid": options.valid, "test": options.test}
    print(f"{machine()}; {options.seeds} seeds; limits {limit}; {os.environ.get('OMP_NUM_THREADS', 'all')} threads")
    for data in options.data.split(","):
        rows = []
        for method in options.tunings.split(","):
            runs = [one_run(data, method, seed, limit, options.rate, workspace) for seed in range(options.seeds)]
            rows.append(row(method, runs, TASKS[data]["epochs"]))
            print(f"<!-- {data}: {' | '.join(rows[-1])} -->", flush=True)
        metric = runs[0].report().primary_metric.replace("_", " ")
        print(f"\n### {data}, {TASKS[data]['epochs']} epochs\n")
        head = [
            "tuning",
            "rate",
            "trained",
            "share",
            f"{metric} (95% interval)",
            "seconds an epoch",
            "peak MB",
            "on disk MB",
        ]
        print_table(head, rows)


def one_run(
    data: str, method: str, seed: int, limit: dict[str, int | None], rate: float | None, workspace: Workspace
) -> Run:
    """A finished run, done in a process of its own. Ends the script when it fails."""
    setting = TASKS[data]
    spec: dict[str, Any] = {
        "name": f"{data} {method} {seed}",
        "task": setting["task"],
        "data": {"train": data, "max_length": 64, "limit": limit},
        "model": "minilm",
        "tuning": method,
        "training": {"epochs": setting["epochs"], "batch_size": 32, "seed": seed},
    }
    if rate is not None:
        spec["training"]["learning_rate"] = rate
    run = Run.create(resolve(RunSpec.parse(spec), workspace).spec, workspace)
    subprocess.run([sys.executable, "-m", "workbench", "run-folder", str(run.folder)], check=True, capture_output=True)
    if run.state != "succeeded":
        raise SystemExit(f"The run {run.id} is {run.state}: {run.status().error}")
    return run


def row(method: str, runs: list[Run], epochs: int) -> list[str]:
    """A line of the table."""
    reports = [run.report() for run in runs]
    costs = [report.cost for report in reports]
    trained, total = costs[0].trained_parameters, costs[0].total_parameters
    values = [report.metrics[report.primary_metric].value for report in reports]
    size = sum(file.stat().st_size for file in (runs[0].folder / "model").glob("*.safetensors"))
    return [
        method,
        f"{runs[0].spec().training.learning_rate:g}",
        f"{trained:,}",
        f"{trained / total:.2%}",
        with_interval(values),
        f"{statistics.median(each.seconds for each in costs) / epochs:.1f}",
        f"{statistics.median(each.peak_memory_bytes for each in costs) / 1e6:.0f}",
        f"{size / 1e6:.1f}",
    ]


def with_interval(values: list[float]) -> str:
    """Mean and Student's 95% interval over seeds."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.3f}"
    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.3f} ({mean - half:.3f} to {mean + half:.3f})"


if __name__ == "__main__":
    main()
