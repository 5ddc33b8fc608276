"""Time the dashboard on 1,000 runs of 1,000 steps and runs of up to 10 million points; compare with MLflow.

python tests/benchmarks/compare_page.py [--runs 1000] [--points 10000000] [--rounds 3] [--mlflow PYTHON]

The benchmark opens the pages in Chromium.

``--mlflow`` names the Python of a separate environment with mlflow (``python -m venv D; D/bin/pip install mlflow``).
The script writes the same runs to MLflow's SQLite store and reads a table with all histories through its client.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _common import fresh_workspace, machine, print_table, spread
from _pages import open_dashboard, seconds_after_click, seconds_until

from dashboard import state
from dashboard.parts.runs import detail
from workbench.check import load_spec, resolve
from workbench.files import write_json
from workbench.runs.filters.filter import filter_rows
from workbench.runs.query import list_runs
from workbench.runs.run import Run
from workbench.runs.series.curves import plot_points
from workbench.runs.series.metric_store import _cached_in_memory, open_metrics
from workbench.runs.table import run_table
from workbench.workspace import Workspace

STEPS = 1000
METRICS = ("train/loss", "train/learning_rate", "train/gradient_norm", "train/tokens_per_second")
COST = {"seconds": 60, "tokens_per_second": 1.0, "peak_memory_bytes": 1, "trained_parameters": 1, "total_parameters": 1}


def write_runs(workspace: Workspace, count: int) -> None:
    """Write ``count`` finished runs of ``STEPS`` lines each, with a report."""
    random = np.random.default_rng(0)
    spec = resolve(load_spec("demo-full"), workspace).spec
    for number in range(count):  # different settings, so that each run has its own curve
        changes = {"training.seed": number % 5, "training.learning_rate": 1e-5 * (1 + number)}
        run = Run.create(spec.changed(changes), workspace)
        values = random.random((STEPS, len(METRICS))).tolist()
        lines = [
            {"step": step, "epoch": (step - 1) / 500, "time": (step - 1) * 0.1, "tokens": (step - 1) * 900}
            | dict(zip(METRICS, row, strict=True))
            for step, row in enumerate(values, 1)
        ]
        run.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        value = float(random.random())
        metrics = {"accuracy": {"value": value, "low": value - 0.1, "high": value + 0.1}}
        write_json(run.report_file, {"metrics": metrics, "primary_metric": "accuracy", "cost": COST})
        run.transition(("queued",), "succeeded")


def write_long_run(workspace: Workspace, points: int) -> Run:
    """Write one run of ``points`` lines with an evaluation on every hundredth, and its other files."""
    run = Run.create(resolve(load_spec("demo-full"), workspace).spec, workspace)
    random = np.random.default_rng(1)
    with open(run.metrics_file, "w", encoding="utf-8") as file:
        for start in range(0, points, 100_000):
            losses = random.random(min(100_000, points - start)).tolist()
            file.writelines(
                f'{{"step": {s}, "epoch": {s / 1e5}, "time": {s / 10}, "tokens": {s * 900}, "train/loss": {y:.6f}'
                + (f', "eval/loss": {y:.6f}}}\n' if s % 100 == 0 else "}\n")
                for s, y in enumerate(losses, start)
            )
    logged_steps = range(0, points, 1000)
    for name, line in {
        "usage.jsonl": '{{"time": {0}.0, "cpu_percent": 99.0, "memory_bytes": 1000000000}}\n',
        "samples.jsonl": '{{"step": {0}, "prompt": "Once", "text": "Once upon a time there was a model."}}\n',
        "confusion.jsonl": '{{"step": {0}, "labels": ["a", "b"], "counts": [[40, 10], [20, 30]]}}\n',
    }.items():
        (run.folder / name).write_text("".join(line.format(step) for step in logged_steps), encoding="utf-8")
    return run


def timed(rounds: int, work: Callable[[], Any]) -> list[float]:
    """Return the seconds of each round."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mlflow", type=Path)
    options = parser.parse_args()
    workspace = fresh_workspace()
    write_runs(workspace, options.runs)
    runs = Run.all(workspace)
    sample = runs[:50]

    def draw() -> None:
        for run in sample:
            plot_points(open_metrics(run), "train/loss")

    rows = [
        ["table, settings not yet read", spread(timed(1, lambda: run_table(workspace)), 2)],
        ["table", spread(timed(options.rounds, lambda: run_table(workspace)), 2)],
        ["list only", spread(timed(options.rounds, lambda: list_runs(workspace)), 2)],
        [
            "filter in SQL",
            spread(timed(options.rounds, lambda: filter_rows(run_table(workspace), "accuracy > 0.5")), 2),
        ],
        ["50 curves, downsampled, not yet read", spread(timed(1, draw), 2)],
        ["50 curves, downsampled", spread(timed(options.rounds, draw), 2)],
    ]

    def read_everything() -> None:
        _cached_in_memory.cache_clear()  # like a new process
        run_table(workspace)
        for run in runs:
            metrics = open_metrics(run)
            for name in metrics.names():
                metrics.curve(name)

    ours = timed(options.rounds, read_everything)
    rows.append(["table and all histories of all runs", spread(ours, 2)])
    if options.mlflow:
        rows += mlflow_rows(workspace, options.mlflow, options.rounds, min(ours))
    rows += page_rows(runs, options.rounds)
    rows += long_rows(workspace, options.points, options.rounds)
    print(f"{machine()}; {options.rounds} rounds\n\n### {options.runs} runs of {STEPS} lines, {len(METRICS)} metrics\n")
    print_table(["operation", "seconds"], rows)
    shutil.rmtree(workspace.root)


TABLE = "() => document.querySelector('[data-testid=stDataFrame] canvas, [data-testid=stTable] td')"
CURVES = """() => [...document.querySelectorAll('.st-key-compare-curve-train-loss .js-plotly-plot')].some(
    plot => plot.querySelectorAll('.scatterlayer .trace').length >= %d)"""


def page_rows(runs: list[Run], rounds: int) -> list[list[str]]:
    """Time the table of all runs and the curves of some in a browser: in a new tab and after a click."""
    selected = [run.id for run in runs[: min(50, state.MAX_RUNS)]]
    compare_path = f"/compare?runs={','.join(selected)}"
    rows = []
    with open_dashboard() as (page, url, _):
        seconds_until(page, url)  # warm up: what a new server reads once for all pages
        for description, title, path, ready in (
            (f"Runs with {len(runs)} runs, until the table is drawn", "Runs", "/runs", TABLE),
            (
                f"Compare with {len(selected)} runs, until their curves are drawn",
                "Compare",
                compare_path,
                CURVES % len(selected),
            ),
        ):
            first = seconds_until(page, url + path, ready)
            later = [seconds_until(page, url + path, ready) for _ in range(rounds)]
            after_click = [seconds_after_click(page, title, ready) for _ in range(rounds)]
            rows.append([f"{description}: after a click on another page", spread(after_click, 2)])
            rows.append([f"{description}: in a new tab", f"{spread(later, 2)}; the first time {first:.2f}"])
    return rows


def long_rows(workspace: Workspace, max_points: int, rounds: int) -> list[list[str]]:
    """Time updates of the live page on ever longer runs, and zooming into the longest."""
    rows = []
    logging.disable(logging.WARNING)  # streamlit warns for each element that there is no browser
    shorter = {count for count in (10_000, 1_000_000) if count < max_points}
    for points in sorted(shorter | {max_points} if max_points else ()):
        run = write_long_run(workspace, points)
        first = timed(1, lambda run=run: open_metrics(run))
        updates = timed(5 * rounds, partial(update, run, points))
        rows.append([f"{points:,} points: first read", spread(first, 1)])
        rows.append([f"{points:,} points: update of the live page after one new line", spread(updates, 3)])
    random = np.random.default_rng(2)

    def zoom(share: float) -> None:
        low = float(random.random() * (1 - share) * max_points)
        plot_points(open_metrics(run), "train/loss", "step", low, low + share * max_points)

    if max_points:
        zooms = {share: timed(5 * rounds, partial(zoom, share)) for share in (0.001, 0.1, 1)}
        rows += [[f"{max_points:,} points: zoom into {share:.1%}", spread(s, 3)] for share, s in zooms.items()]
    return rows


def update(run: Run, step: int) -> None:
    """Append a line and redraw everything live on the page (without sending it to a browser)."""
    run.append_metrics({"step": step, "epoch": 1.0, "time": step / 10, "tokens": 1, "train/loss": 1.0})
    detail.draw_once(run, run.summary(with_spec=False))


MLFLOW = """
import json, sys, time
from functools import partial
from pathlib import Path
from mlflow.tracking import MlflowClient
from mlflow.entities import Metric, Param
runs, store, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
client = MlflowClient(tracking_uri=f"sqlite:///{store}")
experiment = client.create_experiment("benchmark")
for folder in sorted(runs.iterdir()):
    run = client.create_run(experiment, run_name=folder.name).info.run_id
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").open()]
    metrics = [Metric(n, v, i, l["step"]) for i, l in enumerate(lines) for n, v in l.items() if "/" in n]
    for start in range(0, len(metrics), 1000):
        client.log_batch(run, metrics=metrics[start:start + 1000])
    client.log_batch(run, params=[Param("seed", "0")])
seconds = []
for _ in range(rounds):
    start = time.perf_counter()
    table, token = [], None
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        table += page
        token = page.token
        if not token:
            break
    histories = {r.info.run_id: {n: client.get_metric_history(r.info.run_id, n) for n in r.data.metrics} for r in table}
    seconds.append(time.perf_counter() - start)
print(json.dumps(seconds))
"""


def mlflow_rows(workspace: Workspace, python: Path, rounds: int, ours: float) -> list[list[str]]:
    """Time MLflow's client on the same runs in its SQLite store."""
    store = workspace.root / "mlflow.db"
    command = [str(python), "-c", MLFLOW, str(workspace.runs), str(store), str(rounds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=workspace.root)
    seconds = json.loads(done.stdout.splitlines()[-1])
    ratio = f"{min(seconds) / ours:.1f} times ours"
    return [["the same with MLflow's client and SQLite store", f"{spread(seconds, 2)}: {ratio}"]]


if __name__ == "__main__":
    main()
