"""What the benchmarks share: the machine's name, medians with their spread, a table."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from workbench.machine import describe
from workbench.workspace import Workspace


def machine() -> str:
    """The machine, in a line."""
    import torch
    import transformers

    result = describe()
    return (
        f"{result['cpu']['name']}, {result['cpu']['cores']} cores, {result['memory']['total_bytes'] / 1e9:.0f} GB; "
        f"torch {torch.__version__}, transformers {transformers.__version__}"
    )


def fresh_workspace() -> Workspace:
    """A new workspace whose downloads are shared with other benchmarks."""
    os.environ.setdefault("WORKBENCH_CACHE", str(Path("build/test-cache").absolute()))
    Path(os.environ["WORKBENCH_CACHE"]).mkdir(parents=True, exist_ok=True)
    os.environ["WORKBENCH_HOME"] = tempfile.mkdtemp(prefix="workbench-benchmark-")
    return Workspace.current()


def spread(values: Sequence[float], digits: int = 1) -> str:
    """``median (least to most)``."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def ratios(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    """How many times faster, round by round."""
    return [a / b for a, b in zip(slow, fast, strict=True)]


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A Markdown table."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
