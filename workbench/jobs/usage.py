"""What a run's processes use of the machine, looked at now and then by whoever started them.

A line of ``usage.jsonl`` in the run's folder is ``{"time", "cpu_percent", "memory_bytes", "gpu_percent",
"gpu_memory_bytes"}``: seconds that the run's processes lived, all cores and child processes added up, the GPU where
there is one.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from workbench.errors import StorageError
from workbench.files import append_line, read_lines

FIRST_SECONDS = 2.0  # between two looks; longer for a long run, so that its file stays small
MOST_SECONDS = 30.0
_SLOWER = 100  # the distance is a hundredth of the time since the start: some hundred lines and more a run


@dataclass
class Usage:
    """Looks at one process and its children.

    Args:
        path: the file of lines; it is appended to.
        pid: the process.
        device: the GPU that it was given, as ``CUDA_VISIBLE_DEVICES`` names it; None for none or any.
    """

    path: Path
    pid: int
    device: str | None = None
    _began: float = field(default_factory=time.monotonic)
    _next: float = 0.0
    _spent: float | None = None  # seconds of processor time at the last look
    _looked: float = 0.0
    _before: float = 0.0  # seconds that earlier processes of the run lived

    def __post_init__(self) -> None:
        rows, _ = read_lines(self.path)
        self._before = float(rows[-1].get("time") or 0.0) if rows else 0.0

    def look(self, now: float | None = None) -> None:
        """Write a line if one is due. A full disk or a process that has just ended is no reason to fail."""
        now = time.monotonic() if now is None else now
        if now < self._next:
            return
        self._next = now + min(MOST_SECONDS, max(FIRST_SECONDS, (now - self._began) / _SLOWER))
        spent, memory = _processes(self.pid)
        before, looked = self._spent, self._looked
        self._spent, self._looked = spent, now
        if before is None or not memory:
            return
        row: dict[str, Any] = {"time": round(self._before + now - self._began, 1)}
        row["cpu_percent"] = round(100 * max(0.0, spent - before) / max(1e-9, now - looked), 1)
        row["memory_bytes"] = memory
        with contextlib.suppress(StorageError, OSError):
            append_line(self.path, row | gpu_usage(self.device))


def _processes(pid: int) -> tuple[float, int]:
    """Seconds of processor time and bytes of memory of a process and its children."""
    spent, memory = 0.0, 0
    try:
        family = [(parent := psutil.Process(pid)), *parent.children(recursive=True)]
    except psutil.Error:
        return 0.0, 0
    for process in family:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            spent += times.user + times.system
            memory += process.memory_info().rss
    return spent, memory


def gpu_usage(device: str | None) -> dict[str, float]:
    """``{"gpu_percent", "gpu_memory_bytes"}`` of one GPU, as the driver's own tool tells it; empty without one."""
    tool = shutil.which("nvidia-smi") if device else None
    if tool is None or device is None:
        return {}
    command = [tool, f"--id={device}", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
        percent, megabytes = (float(part) for part in done.stdout.split(","))
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}
    return {"gpu_percent": percent, "gpu_memory_bytes": megabytes * 2**20}
