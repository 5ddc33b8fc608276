"""Measure the error of estimates of time and memory: each spec is estimated and then run on this machine.

    python tests/benchmarks/estimates.py [--only NAME,NAME] [--json FILE]

This takes under a quarter of an hour on two idle CPU cores. The specs differ in what makes an estimate hard: text
lengths, frozen layers, adapters, a new model, packed texts, many evaluations, generation. The profiling run and the run
are separate processes. The error is relative to the measured value (+10%: the estimate is a tenth too high).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _common import fresh_workspace, machine, print_table

from workbench.check import load_spec, resolve
from workbench.jobs import estimate
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.workspace import Workspace

TIME_TOLERANCE, MEMORY_TOLERANCE = 0.30, 0.20
LIMIT = {"train": 800, "valid": 100, "test": 200}
REVIEWS = {"train": "rotten-tomatoes", "limit": LIMIT}
SPECS: dict[str, tuple[str, dict[str, Any]]] = {
    "full": ("demo-full", {"data": REVIEWS, "training.epochs": 2}),
    "lora": ("demo-lora", {"data": REVIEWS, "training.epochs": 2}),
    "head with cached activations": ("demo-full", {"data": REVIEWS, "tuning": "head", "training.epochs": 10}),
    "long texts": (
        "demo-full",
        {"data": {"train": "newsgroups-20", "max_length": 256, "limit": {**LIMIT, "train": 300}}, "training.epochs": 1},
    ),
    "token budget and accumulation": (
        "demo-full",
        {
            "data": REVIEWS,
            "training.epochs": 2,
            "training.max_tokens_per_batch": 1024,
            "training.gradient_accumulation": 2,
        },
    ),
    "frequent evaluation": ("demo-full", {"data": REVIEWS, "training.epochs": 1, "training.eval_every": 5}),
    "new lstm": ("baseline-lstm", {"data": {**REVIEWS, "limit": {**LIMIT, "train": 4000}}, "training.epochs": 3}),
    "new encoder": (
        "demo-full",
        {
            "data": {**REVIEWS, "limit": {**LIMIT, "train": 3000}},
            "model": {"source": "transformer-encoder", "size": "tiny", "tokenizer": {"train": "bpe"}},
            "training.epochs": 3,
        },
    ),
    "packed language model": ("pretrain-tiny", {"training.epochs": 1, "training.max_steps": 60}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="comma-separated names")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    options = parser.parse_args()
    names = [name for name in options.only.split(",") if name] or list(SPECS)
    workspace = fresh_workspace()
    print(machine())
    start, results = time.monotonic(), []
    for name in names:
        preset, changes = SPECS[name]
        results.append(measure(name, load_spec(preset).changed(changes), workspace))
        print(f"<!-- {json.dumps(results[-1])} -->", flush=True)
    print_table(
        ["spec", "estimated s", "actual s", "error", "within range", "estimated MB", "actual MB", "error"],
        [table_row(result) for result in results],
    )
    for quantity, tolerance in (("time", TIME_TOLERANCE), ("memory", MEMORY_TOLERANCE)):
        errors = [abs(result[f"{quantity}_error"]) for result in results]
        within = sum(error <= tolerance for error in errors)
        print(
            f"\n{quantity}: median error {statistics.median(errors):.0%}, worst {max(errors):.0%}; {within} of "
            f"{len(errors)} within {tolerance:.0%}"
        )
    print(f"\n{time.monotonic() - start:.0f} s in total")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


def measure(name: str, spec: RunSpec, workspace: Workspace) -> dict[str, Any]:
    """Return the estimated and the actual cost of one spec; exit if the run fails."""
    estimated = estimate.estimate(spec, workspace)
    run = Run.create(resolve(spec, workspace).spec, workspace)
    subprocess.run([sys.executable, "-m", "workbench", "run-folder", str(run.folder)], capture_output=True)
    report = run.report()
    if report is None:
        raise SystemExit(f"The run {run.id} is {run.state}: {run.status().error}")
    cost, duration, memory = report.cost, estimated.total_seconds, estimated.peak_memory_bytes
    return {
        "name": name,
        "time": duration.value,
        "actual_time": cost.total_seconds,
        "time_error": duration.relative_error(cost.total_seconds),
        "in_range": duration.low <= cost.total_seconds <= duration.high,
        "training_error": estimated.seconds.relative_error(cost.seconds),
        "memory": memory.value,
        "actual_memory": cost.peak_memory_bytes,
        "memory_error": memory.relative_error(cost.peak_memory_bytes),
        "estimation_seconds": estimated.took_seconds,
    }


def table_row(result: dict[str, Any]) -> list[str]:
    """Format a row of the table."""
    return [
        result["name"],
        f"{result['time']:.0f}",
        f"{result['actual_time']:.0f}",
        f"{result['time_error']:+.0%}",
        "yes" if result["in_range"] else "no",
        f"{result['memory'] / 1e6:.0f}",
        f"{result['actual_memory'] / 1e6:.0f}",
        f"{result['memory_error']:+.0%}",
    ]


if __name__ == "__main__":
    main()
