"""The description of the machine, and the identity of processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from workbench.system import machine
from workbench.system.machine import is_same_process, limit_onednn_cache, process_identity

SMI = """#!/bin/sh
case "$1" in
-L) echo "GPU 0: NVIDIA H100 (UUID: GPU-1)"; echo "GPU 1: NVIDIA H100 (UUID: GPU-2)";;
*) echo "NVIDIA H100, 80GB, 81559, 81000"; echo "NVIDIA GB10, [N/A], [N/A]";;
esac
"""


def test_busy_cores_are_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cpu_cores", lambda: 8)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    idle = []
    for percent in (0.0, 12.0, 50.0, 100.0):
        monkeypatch.setattr(psutil, "cpu_percent", lambda interval, percent=percent: percent)
        idle.append(machine.idle_cores())
    assert idle == [8, 7, 4, 1]


CAPACITY = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"

MEGABYTES_OF_MANY_LENGTHS = """
import sys, psutil, torch
from workbench.system.machine import limit_onednn_cache
if sys.argv[1] == "few":
    limit_onednn_cache()
lstm = torch.nn.LSTM(256, 256, batch_first=True)
memory = lambda: psutil.Process().memory_info().rss
lstm(torch.randn(4, 10, 256))[0].sum().backward()
before = memory()
for length in range(10, 130):
    lstm(torch.randn(4, length, 256))[0].sum().backward()
print((memory() - before) / 1e6)
"""


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nvidia-smi").write_text(SMI)
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    machine._installed_gpus.cache_clear()
    yield
    machine._installed_gpus.cache_clear()


def test_describe_is_json_and_plausible(tmp_path: Path) -> None:
    document = json.loads(json.dumps(machine.describe(tmp_path / "not" / "made" / "yet")))
    assert set(document) == {"cpu", "memory", "disk", "gpus", "python", "platform"}
    assert document["cpu"]["cores"] >= 1 and document["cpu"]["name"]
    assert 0 < document["memory"]["available_bytes"] <= document["memory"]["total_bytes"]
    assert 0 < document["disk"]["free_bytes"] <= document["disk"]["total_bytes"]


def test_describing_imports_no_torch() -> None:
    code = "import sys; from workbench import jobs; from workbench.system import machine; machine.describe(); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_gpus_come_from_the_driver(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = machine.gpus()
    assert first == {"name": "NVIDIA H100, 80GB", "memory_bytes": 81559 * 2**20, "free_bytes": 81000 * 2**20}
    assert second == {"name": "NVIDIA GB10", "memory_bytes": None, "free_bytes": None}
    assert machine.gpu_names() == ["0", "1"] and machine.gpu_count() == 2
    for value, names in (("", []), ("1", ["1"]), ("3, GPU-2", ["3", "GPU-2"]), ("0,-1,1", ["0"])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        assert machine.gpu_names() == names


def test_a_broken_driver_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'Failed to initialize NVML'; exit 9\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert machine.gpus() == []


def test_memory_is_counted_in_bytes_with_children() -> None:
    assert psutil.Process().memory_info().rss / 2 < machine.peak_rss_bytes() < 2**40
    child = subprocess.Popen([sys.executable, "-c", "x = bytearray(40_000_000); print('ready', flush=True); input()"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert child.stdout is not None and child.stdout.readline() == b"ready\n"
    assert machine.tree_rss_bytes(os.getpid()) > psutil.Process().memory_info().rss + 40_000_000
    child.communicate(b"\n")
    assert machine.tree_rss_bytes(child.pid) == 0


def test_a_process_identity_matches_only_its_process() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        identity = json.loads(json.dumps(process_identity(child.pid)))  # as stored in a file
        assert is_same_process(identity)
        for change in ({"started": identity["started"] + 1}, {"boot": "x"}, {"host": "x"}, {"pid": os.getpid()}):
            assert not is_same_process({**identity, **change})
        for damaged in ({}, {"pid": child.pid}, {"pid": "1"}, {"pid": -1}, {"pid": 0}):
            assert not is_same_process(damaged)
    finally:
        child.kill()
        child.wait()
    assert not is_same_process(identity)


def test_a_clock_set_back_changes_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    before = process_identity()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert is_same_process(before)


def test_a_limited_onednn_cache_needs_less_memory() -> None:
    peaks = {}
    environment = {name: value for name, value in os.environ.items() if name != CAPACITY}
    for cache in ("few", "many"):
        command = [sys.executable, "-c", MEGABYTES_OF_MANY_LENGTHS, cache]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        assert result.returncode == 0, result.stderr
        peaks[cache] = float(result.stdout)
    assert peaks["few"] < 0.75 * peaks["many"], peaks


def test_a_capacity_set_by_the_user_is_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAPACITY, "7")
    limit_onednn_cache()
    assert os.environ[CAPACITY] == "7"
