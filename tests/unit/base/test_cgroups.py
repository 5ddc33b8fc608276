"""Memory and its limits are those of the process's control group, in both versions, and not of the whole machine."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from workbench.system import cgroups, machine
from workbench.system.cgroups import memory_of, oom_kills

GIB = 2**30


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders in place of /proc and /sys/fs/cgroup."""
    monkeypatch.setattr(cgroups, "PROC", tmp_path / "proc")
    monkeypatch.setattr(cgroups, "CGROUPS", tmp_path / "cgroup")
    write(tmp_path / "proc" / "vmstat", "pgfault 1\noom_kill 12\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_version_2_has_the_lowest_limit_of_the_groups_above(system: Path) -> None:
    write(system / "proc/self/cgroup", "0::/batch/job\n")
    group = system / "cgroup/batch/job"
    write(group / "memory.max", "max\n")
    write(group / "memory.current", "1000\n")
    write(group / "memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n")
    write(group.parent / "memory.max", str(GIB))
    write(group.parent / "memory.current", str(GIB // 2 + 1000))
    write(group.parent / "memory.stat", "anon 5\ninactive_file 1000\n")
    assert memory_of() == cgroups.Memory(GIB, GIB // 2, True)
    assert oom_kills() == 2


def test_version_1_is_read_beside_version_2(system: Path) -> None:
    write(system / "proc/self/cgroup", "4:cpu,cpuacct:/x\n3:memory:/box\n0::/\n")
    group = system / "cgroup/memory/box"
    write(group / "memory.limit_in_bytes", str(GIB))
    write(group / "memory.usage_in_bytes", str(2 * GIB))
    write(group / "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n")
    assert memory_of() == cgroups.Memory(GIB, 0, True)
    assert oom_kills() == 5


def test_in_a_container_the_path_is_that_of_the_host(system: Path) -> None:
    write(system / "proc/self/cgroup", "0::/docker/0123\n")
    write(system / "cgroup/memory.max", str(GIB))
    assert memory_of().total_bytes == GIB


@pytest.mark.parametrize("lines", ["", "0::/\n", "0::/../../..\n", "nonsense", "3:memory:/missing\n"])
def test_without_a_limit_the_numbers_are_the_machines(system: Path, lines: str) -> None:
    write(system / "proc/self/cgroup", lines)
    memory = memory_of()
    assert memory.total_bytes == psutil.virtual_memory().total and not memory.is_limited
    assert oom_kills() == 12


def test_a_limit_above_the_machine_is_none(system: Path) -> None:
    write(system / "proc/self/cgroup", "3:memory:/\n")
    write(system / "cgroup/memory/memory.limit_in_bytes", "9223372036854771712")
    assert not memory_of().is_limited


def test_the_machine_is_described_with_the_limit(system: Path) -> None:
    write(system / "proc/self/cgroup", "0::/\n")
    write(system / "cgroup/memory.max", str(GIB))
    assert machine.describe()["memory"]["total_bytes"] == GIB
