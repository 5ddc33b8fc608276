"""The resource usage of a run's processes, checked against a process of known CPU and memory usage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.jobs import usage
from workbench.jobs.usage import Usage, gpu_usage

BUSY = (
    "held = bytearray(80_000_000)\nheld[::4096] = b'x' * len(held[::4096])\n"
    "print('ready', flush=True)\nwhile True: pass"
)


def test_a_busy_process_has_high_usage(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline()
        recorder = Usage(tmp_path / "usage.jsonl", process.pid)
        now = time.monotonic()
        recorder.look(now)
        recorder.look(now + 0.1)  # not due
        time.sleep(1)
        spent = sum(usage.psutil.Process(process.pid).cpu_times()[:2])
        before = recorder._cpu_seconds or 0.0
        recorder.look(now + 2)  # as if two seconds had passed
        (row,) = map(json.loads, (tmp_path / "usage.jsonl").read_text().splitlines())
        assert row["cpu_percent"] == pytest.approx(100 * (spent - before) / 2, abs=10)
        assert 80e6 < row["memory_bytes"] < 200e6
    finally:
        process.kill()
        process.wait()
    recorder.look(now + 10)  # the process has ended: no line, no error
    assert len((tmp_path / "usage.jsonl").read_text().splitlines()) == 1


def test_a_long_run_has_few_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "_measure", lambda pid: (0.0, 1))
    recorder = Usage(tmp_path / "usage.jsonl", 1, _began=0.0)
    for second in range(1, 24 * 3600):
        recorder.look(float(second))
    times = [json.loads(line)["time"] for line in (tmp_path / "usage.jsonl").read_text().splitlines()]
    resumed = Usage(tmp_path / "usage.jsonl", 1, _began=0.0)
    resumed.look(1.0)
    resumed.look(10.0)
    assert json.loads((tmp_path / "usage.jsonl").read_text().splitlines()[-1])["time"] == times[-1] + 10
    assert 1000 < len((tmp_path / "usage.jsonl").read_text().splitlines()) < 4000


SMI = """#!/bin/sh
test "$1" = --id=1 && test "$2" = --query-gpu=utilization.gpu,memory.used || exit 1
echo "%s"
"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a fake ``nvidia-smi`` first on PATH that prints a line for GPU 1."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def write_line(line: str) -> None:
        (tmp_path / "nvidia-smi").write_text(SMI % line)
        (tmp_path / "nvidia-smi").chmod(0o755)

    return write_line


def test_gpu_usage_comes_from_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: Callable[[str], None]
) -> None:
    driver("87, 40960")
    assert gpu_usage("1") == {"gpu_percent": 87.0, "gpu_memory_bytes": 40960 * 2**20}
    assert gpu_usage("0") == {}  # a GPU that this driver does not know
    monkeypatch.setattr(usage, "_measure", lambda pid: (0.0, 1))
    recorder = Usage(tmp_path / "usage.jsonl", 1, device="1", _began=0.0)
    recorder.look(1.0)
    recorder.look(10.0)
    (row,) = map(json.loads, (tmp_path / "usage.jsonl").read_text().splitlines())
    assert row == {"time": 10.0, "cpu_percent": 0.0, "memory_bytes": 1, "gpu_percent": 87.0,
                   "gpu_memory_bytes": 40960 * 2**20}  # fmt: skip


@pytest.mark.parametrize("line", ["[N/A], [N/A]", "", "87", "No devices were found"])
def test_unusable_output_of_the_driver_means_no_gpu(driver: Callable[[str], None], line: str) -> None:
    driver(line)
    assert gpu_usage("1") == {}


def test_without_a_gpu_there_is_no_gpu_usage() -> None:
    assert gpu_usage(None) == {} and gpu_usage("no such") == {}
