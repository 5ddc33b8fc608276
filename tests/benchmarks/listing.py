"""Time ``workbench runs --json`` over 1,000 run folders of 1,000 metric lines each, as a whole process.

python tests/benchmarks/listing.py [--rounds 5] [--runs 1000]
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time

from _common import fresh_workspace, machine, print_table, spread

from workbench.check import load_spec, resolve
from workbench.files import write_json
from workbench.runs.query import read_curves
from workbench.runs.run import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=1000)
    options = parser.parse_args()
    workspace = fresh_workspace()
    spec = resolve(load_spec("demo-full"), workspace).spec
    for number in range(options.runs):
        run = Run.create(spec, workspace)
        lines = [
            {"step": step, "epoch": step / 500, "time": step * 0.1, "tokens": step * 900, "train/loss": random.random()}
            for step in range(1, 1001)
        ]
        run.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        write_json(run.report_file, _report())
        run.transition(("queued",), "succeeded", number=number)
    listing_seconds, curve_seconds = [], []
    for _ in range(options.rounds):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "workbench", "runs", "--json"], check=True, capture_output=True)
        listing_seconds.append(time.perf_counter() - start)
        assert len(json.loads(done.stdout)) == options.runs
        start = time.perf_counter()
        read_curves(Run.all(workspace), ["train/loss"])
        curve_seconds.append(time.perf_counter() - start)
    print(f"{machine()}; {options.rounds} rounds\n\n### {options.runs} runs of 1,000 metric lines\n")
    rows = [
        ["`workbench runs --json`, whole process", spread(listing_seconds, 2)],
        ["all curves of one metric, in this process", spread(curve_seconds, 2)],
    ]
    print_table(["operation", "seconds"], rows)


def _report() -> dict[str, object]:
    return {
        "metrics": {"accuracy": {"value": random.random(), "low": 0.1, "high": 0.9}},
        "primary_metric": "accuracy",
        "baseline": {"accuracy": 0.5},
        "cost": {
            "seconds": 60,
            "tokens_per_second": 1.0,
            "peak_memory_bytes": 1,
            "trained_parameters": 1,
            "total_parameters": 1,
        },
    }


if __name__ == "__main__":
    main()
