"""Time from ``workbench submit`` to the first training step, with model and data in the cache.

python tests/benchmarks/startup.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from _common import fresh_workspace, machine, print_table, spread

from workbench.data.catalogue.sources import fetch_dataset, fetch_model
from workbench.jobs import stop, stop_worker
from workbench.runs.run import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    workspace = fresh_workspace()
    fetch_model("minilm", workspace)
    fetch_dataset("rotten-tomatoes", workspace)
    rows = []
    for preset in ("demo-full", "demo-lora"):
        seconds = []
        for _ in range(rounds):
            stop_worker(workspace)  # each round includes the start of a worker
            start = time.perf_counter()
            command = [sys.executable, "-m", "workbench", "submit", preset, "--set", "training.log_every=1"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            run = Run.all(workspace)[-1]
            while not _has_line(run.metrics_file):
                assert run.state in ("queued", "running"), run.status()
                time.sleep(0.01)
            seconds.append(time.perf_counter() - start)
            stop(run, kill_after=30)
        rows.append([preset, spread(seconds)])
    stop_worker(workspace)
    print(f"{machine()}; {rounds} rounds\n\n### From `workbench submit` to the end of the first training step\n")
    print_table(["preset", "seconds"], rows)


def _has_line(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


if __name__ == "__main__":
    main()
