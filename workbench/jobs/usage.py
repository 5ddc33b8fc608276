"""What a run's processes use of the machine, measured now and then by the worker that started them.

A line of ``usage.jsonl`` in the run's folder is ``{"time", "cpu_percent", "memory_bytes", "gpu_percent",
"gpu_memory_bytes"}``: seconds that the run's processes have lived, the sum over all cores and child processes, and the
GPU where there is one.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from workbench.errors import StorageError
from workbench.files import append_line, read_lines

FIRST_SECONDS = 2.0  # between two lines; longer for a long run, so that its file stays small
MAX_SECONDS = 30.0
_LINES = 100  # the interval is a hundredth of the time since the start: a few hundred lines per run


@dataclass
class Usage:
    """Measures one process and its children.

    Args:
        path: the file of lines, which is appended to.
        pid: the process.
        device: the GPU that it may use, as ``CUDA_VISIBLE_DEVICES`` names it; None for none or any.
    """

    path: Path
    pid: int
    device: str | None = None
    _began: float = field(default_factory=time.monotonic)
    _due: float = 0.0
    _cpu_seconds: float | None = None  # at the last measurement
    _measured_at: float = 0.0
    _lived_before: float = 0.0  # seconds that earlier processes of the run lived

    def __post_init__(self) -> None:
        rows, _ = read_lines(self.path)
        self._lived_before = float(rows[-1].get("time") or 0.0) if rows else 0.0

    def look(self, now: float | None = None) -> None:
        """Write a line if one is due. A full disk, or a process that has just ended, is not an error.

        Args:
            now: seconds of the monotonic clock; read from it by default.
        """
        now = time.monotonic() if now is None else now
        if now < self._due:
            return
        self._due = now + min(MAX_SECONDS, max(FIRST_SECONDS, (now - self._began) / _LINES))
        cpu_seconds, memory = _measure(self.pid)
        before, measured_at = self._cpu_seconds, self._measured_at
        self._cpu_seconds, self._measured_at = cpu_seconds, now
        if before is None or not memory:
            return
        row: dict[str, float | int] = {"time": round(self._lived_before + now - self._began, 1)}
        row["cpu_percent"] = round(100 * max(0.0, cpu_seconds - before) / max(1e-9, now - measured_at), 1)
        row["memory_bytes"] = memory
        with contextlib.suppress(StorageError, OSError):
            append_line(self.path, row | gpu_usage(self.device))


def _measure(pid: int) -> tuple[float, int]:
    """Return seconds of processor time and bytes of memory of a process and its children."""
    seconds, memory = 0.0, 0
    try:
        family = [(parent := psutil.Process(pid)), *parent.children(recursive=True)]
    except psutil.Error:
        return 0.0, 0
    for process in family:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            seconds += times.user + times.system
            memory += process.memory_info().rss
    return seconds, memory


def gpu_usage(device: str | None) -> dict[str, float]:
    """Return ``{"gpu_percent", "gpu_memory_bytes"}`` of one GPU, as nvidia-smi reports it; empty without one.

    Args:
        device: the GPU, as ``CUDA_VISIBLE_DEVICES`` names it.
    """
    tool = shutil.which("nvidia-smi") if device else None
    if tool is None or device is None:
        return {}
    command = [tool, f"--id={device}", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
        percent, megabytes = (float(number) for number in result.stdout.split(","))
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}
    return {"gpu_percent": percent, "gpu_memory_bytes": megabytes * 2**20}
