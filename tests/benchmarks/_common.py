"""Helpers for the benchmarks: the machine's name, timers, medians with their spread, tables."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from workbench.system.machine import describe
from workbench.workspace import Workspace


def machine() -> str:
    """Describe the machine in one line."""
    import torch
    import transformers

    description = describe()
    cpu, memory = description["cpu"], description["memory"]["total_bytes"] / 1e9
    return (
        f"{cpu['name']}, {cpu['cores']} cores, {memory:.0f} GB; "
        f"torch {torch.__version__}, transformers {transformers.__version__}"
    )


def fresh_workspace() -> Workspace:
    """Create a new workspace that shares its downloads with other benchmarks."""
    os.environ.setdefault("WORKBENCH_CACHE", str(Path("build/test-cache").absolute()))
    Path(os.environ["WORKBENCH_CACHE"]).mkdir(parents=True, exist_ok=True)
    os.environ["WORKBENCH_HOME"] = tempfile.mkdtemp(prefix="workbench-benchmark-")
    return Workspace.current()


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Format values as ``median (minimum to maximum)``."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def speedups(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    """Return how many times faster the second one is in each round."""
    return [a / b for a, b in zip(slow, fast, strict=True)]


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
