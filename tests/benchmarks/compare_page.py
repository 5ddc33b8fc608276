"""1,000 runs x 1,000 steps: table, curves, runs of up to 10 million points; beside MLflow's SQLite store.

python tests/benchmarks/compare_page.py [--runs 1000] [--points 10000000] [--rounds 3] [--mlflow PYTHON]

The pages are opened in Chromium, which is needed.

``--mlflow`` names the Python of an environment of its own that has mlflow (``python -m venv D; D/bin/pip install
mlflow``): the same runs are written to its store and read into a table with all histories through its client.
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
from _pages import browsed, seconds_after_click, seconds_until

from dashboard import state
from dashboard.parts.runs import detail
from workbench.check import load_spec, resolve
from workbench.files import write_json
from workbench.runs.filter import filter_rows
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
    """``count`` finished runs of ``STEPS`` lines each, with a report."""
    random = np.random.default_rng(0)
    spec = resolve(load_spec("demo-full"), workspace).spec
    for number in range(count):  # each with settings of its own, so that each is a curve of its own
        changes = {"training.seed": number % 5, "training.learning_rate": 1e-5 * (1 + number)}
        run = Run.create(spec.changed(changes), workspace)
        values = random.random((STEPS, len(METRICS))).tolist()
        lines = [
            {"step": s + 1, "epoch": s / 500, "time": s * 0.1, "tokens": s * 900} | dict(zip(METRICS, v, strict=True))
            for s, v in enumerate(values)
        ]
        run.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        value = float(random.random())
        metrics = {"accuracy": {"value": value, "low": value - 0.1, "high": value + 0.1}}
        write_json(run.report_file, {"metrics": metrics, "primary_metric": "accuracy", "cost": COST})
        run.transition(("queued",), "succeeded")


def write_long_run(workspace: Workspace, points: int) -> Run:
    """One run of so many lines, written as text at once: an evaluation each hundredth, and what belongs to it."""
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
    seldom = range(0, points, 1000)
    for name, line in {
        "usage.jsonl": '{{"time": {0}.0, "cpu_percent": 99.0, "memory_bytes": 1000000000}}\n',
        "samples.jsonl": '{{"step": {0}, "prompt": "Once", "text": "Once upon a time there was a model."}}\n',
        "confusion.jsonl": '{{"step": {0}, "labels": ["a", "b"], "counts": [[40, 10], [20, 30]]}}\n',
    }.items():
        (run.folder / name).write_text("".join(line.format(step) for step in seldom), encoding="utf-8")
    return run


def timed(rounds: int, work: Callable[[], Any]) -> list[float]:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return taken


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
    some = runs[:50]

    def draw() -> None:
        for run in some:
            plot_points(open_metrics(run), "train/loss")

    rows = [
        ["table, settings never read before", spread(timed(1, lambda: run_table(workspace)), 2)],
        ["table", spread(timed(options.rounds, lambda: run_table(workspace)), 2)],
        ["list alone", spread(timed(options.rounds, lambda: list_runs(workspace)), 2)],
        [
            "filter in SQL",
            spread(timed(options.rounds, lambda: filter_rows(run_table(workspace), "accuracy > 0.5")), 2),
        ],
        ["50 curves thinned, never read before", spread(timed(1, draw), 2)],
        ["50 curves thinned", spread(timed(options.rounds, draw), 2)],
    ]

    def everything() -> None:
        _cached_in_memory.cache_clear()  # as a new process would read
        run_table(workspace)
        for run in runs:
            result = open_metrics(run)
            for name in result.names():
                result.curve(name)

    ours = timed(options.rounds, everything)
    rows.append(["table and all histories of all runs", spread(ours, 2)])
    if options.mlflow:
        rows += mlflow_rows(workspace, options.mlflow, options.rounds, min(ours))
    rows += page_rows(runs, options.rounds)
    rows += long_rows(workspace, options.points, options.rounds)
    print(f"{machine()}; {options.rounds} rounds\n\n### {options.runs} runs of {STEPS} lines, {len(METRICS)} metrics\n")
    print_table(["what", "seconds"], rows)
    shutil.rmtree(workspace.root)


TABLE = "() => document.querySelector('[data-testid=stDataFrame] canvas, [data-testid=stTable] td')"
CURVES = """() => [...document.querySelectorAll('.st-key-compare-curve-train-loss .js-plotly-plot')].some(
    plot => plot.querySelectorAll('.scatterlayer .trace').length >= %d)"""


def page_rows(runs: list[Run], rounds: int) -> list[list[str]]:
    """In a browser: the table of all runs, and curves of some; in a new tab, and by a click from another page."""
    some = [run.id for run in runs[: min(50, state.MAX_RUNS)]]
    compared = f"/compare?runs={','.join(some)}"
    rows = []
    with browsed() as (page, url, _):
        seconds_until(page, url)  # what a new server reads once, whatever the page
        for what, title, path, ready in (
            (f"Runs with {len(runs)} runs, until the table is there", "Runs", "/runs", TABLE),
            (f"Compare with {len(some)} runs, until their curves are there", "Compare", compared, CURVES % len(some)),
        ):
            first = seconds_until(page, url + path, ready)
            again = [seconds_until(page, url + path, ready) for _ in range(rounds)]
            clicked = [seconds_after_click(page, title, ready) for _ in range(rounds)]
            rows.append([f"{what}: by a click from another page", spread(clicked, 2)])
            rows.append([f"{what}: in a new tab", f"{spread(again, 2)}; the first time {first:.2f}"])
    return rows


def long_rows(workspace: Workspace, most: int, rounds: int) -> list[list[str]]:
    """What a tick of the live page costs on runs of ever more points, and zooms into the longest."""
    rows = []
    logging.disable(logging.WARNING)  # streamlit says of each element that there is no browser
    for points in sorted({count for count in (10_000, 1_000_000) if count < most} | {most} if most else ()):
        run = write_long_run(workspace, points)
        first = timed(1, lambda run=run: open_metrics(run))
        ticks = timed(5 * rounds, partial(tick, run, points))
        rows.append([f"{points:,} points: first reading", spread(first, 1)])
        rows.append([f"{points:,} points: a whole tick of the live page, one line new", spread(ticks, 3)])
    random = np.random.default_rng(2)

    def zoom(share: float) -> None:
        low = float(random.random() * (1 - share) * most)
        plot_points(open_metrics(run), "train/loss", "step", low, low + share * most)

    if most:
        zooms = {share: timed(5 * rounds, partial(zoom, share)) for share in (0.001, 0.1, 1)}
        rows += [[f"{most:,} points: zoom into {share:.1%}", spread(taken, 3)] for share, taken in zooms.items()]
    return rows


def tick(run: Run, step: int) -> None:
    """One line comes, and everything that moves on the page is drawn anew (but for the way to a browser)."""
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
    found = [Metric(n, v, i, l["step"]) for i, l in enumerate(lines) for n, v in l.items() if "/" in n]
    for start in range(0, len(found), 1000):
        client.log_batch(run, metrics=found[start:start + 1000])
    client.log_batch(run, params=[Param("seed", "0")])
taken = []
for _ in range(rounds):
    began = time.perf_counter()
    table, page = [], None
    while True:
        part = client.search_runs([experiment], max_results=1000, page_token=page)
        table += part
        page = part.token
        if not page:
            break
    histories = {r.info.run_id: {n: client.get_metric_history(r.info.run_id, n) for n in r.data.metrics} for r in table}
    taken.append(time.perf_counter() - began)
print(json.dumps(taken))
"""


def mlflow_rows(workspace: Workspace, python: Path, rounds: int, ours: float) -> list[list[str]]:
    """MLflow's store with the same runs, read through its client."""
    store = workspace.root / "mlflow.db"
    command = [str(python), "-c", MLFLOW, str(workspace.runs), str(store), str(rounds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=workspace.root)
    taken = json.loads(done.stdout.splitlines()[-1])
    ratio = f"{min(taken) / ours:.1f} times ours"
    return [["the same in MLflow's SQLite store through its client", f"{spread(taken, 2)}: {ratio}"]]


if __name__ == "__main__":
    main()
