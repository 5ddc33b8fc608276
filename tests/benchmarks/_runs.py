"""Execute runs in this process, from a spec to its report, for benchmarks."""

from __future__ import annotations

from typing import Any

from workbench.check import resolve
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.training.runner import run_folder
from workbench.workspace import Workspace


def execute_run(spec: dict[str, Any], workspace: Workspace) -> Run:
    """Execute the run of ``spec``; exit with the run's error message if it fails."""
    run = Run.create(resolve(RunSpec.parse(spec), workspace).spec, workspace)
    if run_folder(run.folder) != 0 or run.state != "succeeded":
        raise SystemExit(f"The run {run.id} is {run.state}: {run.status().error}")
    return run


def tokens_per_second(run: Run) -> float:
    """Return the tokens of text per second between the first and the last line of training metrics.

    This excludes the first step, which allocates memory and selects kernels, and also the evaluation if the run
    evaluates only at its end.
    """
    rows = [row for row in run.read_metrics()[0] if "train/loss" in row]
    if len(rows) < 2:
        raise SystemExit(f"The run {run.id} has {len(rows)} lines of training metrics; at least 2 are needed.")
    return float((rows[-1]["tokens"] - rows[0]["tokens"]) / (rows[-1]["time"] - rows[0]["time"]))
