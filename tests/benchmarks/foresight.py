"""How far estimates of time and memory are off: each spec is estimated, then run, on this machine.

    python tests/benchmarks/foresight.py [--only NAME,NAME] [--json FILE]

Under a quarter of an hour on two CPU cores, when nothing else is at work there. Each spec differs from the others in
what makes an estimate hard: lengths, frozen layers, adapters, a new model, packed texts, many evaluations, writing.
Both the trial and the run are processes of their own; the error is a share of the truth (+10%: a tenth too much).
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

TIME_AIM, MEMORY_AIM = 0.30, 0.20
FEW = {"train": 800, "valid": 100, "test": 200}
REVIEWS = {"train": "rotten-tomatoes", "limit": FEW}
SPECS: dict[str, tuple[str, dict[str, Any]]] = {
    "full": ("demo-full", {"data": REVIEWS, "training.epochs": 2}),
    "lora": ("demo-lora", {"data": REVIEWS, "training.epochs": 2}),
    "head with kept features": ("demo-full", {"data": REVIEWS, "tuning": "head", "training.epochs": 10}),
    "long texts": (
        "demo-full",
        {"data": {"train": "newsgroups-20", "max_length": 256, "limit": {**FEW, "train": 300}}, "training.epochs": 1},
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
    "often evaluated": ("demo-full", {"data": REVIEWS, "training.epochs": 1, "training.eval_every": 5}),
    "new lstm": ("baseline-lstm", {"data": {**REVIEWS, "limit": {**FEW, "train": 4000}}, "training.epochs": 3}),
    "new encoder": (
        "demo-full",
        {
            "data": {**REVIEWS, "limit": {**FEW, "train": 3000}},
            "model": {"source": "transformer-encoder", "size": "tiny", "tokenizer": {"train": "bpe"}},
            "training.epochs": 3,
        },
    ),
    "packed language model": ("pretrain-tiny", {"training.epochs": 1, "training.max_steps": 60}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names with commas between")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    question = [name for name in options.only.split(",") if name] or list(SPECS)
    workspace = fresh_workspace()
    print(machine())
    began, result = time.monotonic(), []
    for name in question:
        preset, changes = SPECS[name]
        result.append(measured(name, load_spec(preset).changed(changes), workspace))
        print(f"<!-- {json.dumps(result[-1])} -->", flush=True)
    print_table(
        ["spec", "time: estimate, s", "truth, s", "error", "range holds", "memory: estimate, MB", "truth, MB", "error"],
        [row(each) for each in result],
    )
    for what, aim in (("time", TIME_AIM), ("memory", MEMORY_AIM)):
        errors = [abs(each[f"{what}_error"]) for each in result]
        within = sum(error <= aim for error in errors)
        print(
            f"\n{what}: median error {statistics.median(errors):.0%}, worst {max(errors):.0%}; {within} of "
            f"{len(errors)} within {aim:.0%}"
        )
    print(f"\n{time.monotonic() - began:.0f} s in all")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


def measured(name: str, spec: RunSpec, workspace: Workspace) -> dict[str, Any]:
    """Estimate and truth of one spec. Ends the script when the run fails."""
    estimated = estimate.estimate(spec, workspace)
    run = Run.create(resolve(spec, workspace).spec, workspace)
    subprocess.run([sys.executable, "-m", "workbench", "run-folder", str(run.folder)], capture_output=True)
    report = run.report()
    if report is None:
        raise SystemExit(f"The run {run.id} is {run.state}: {run.status().error}")
    cost, time_, memory = report.cost, estimated.total_seconds, estimated.peak_memory_bytes
    return {
        "name": name,
        "time": time_.value,
        "time_truth": cost.total_seconds,
        "time_error": time_.relative_error(cost.total_seconds),
        "in_range": time_.low <= cost.total_seconds <= time_.high,
        "training_error": estimated.seconds.relative_error(cost.seconds),
        "memory": memory.value,
        "memory_truth": cost.peak_memory_bytes,
        "memory_error": memory.relative_error(cost.peak_memory_bytes),
        "took": estimated.took_seconds,
    }


def row(each: dict[str, Any]) -> list[str]:
    """A line of the table."""
    return [
        each["name"],
        f"{each['time']:.0f}",
        f"{each['time_truth']:.0f}",
        f"{each['time_error']:+.0%}",
        "yes" if each["in_range"] else "no",
        f"{each['memory'] / 1e6:.0f}",
        f"{each['memory_truth'] / 1e6:.0f}",
        f"{each['memory_error']:+.0%}",
    ]


if __name__ == "__main__":
    main()
