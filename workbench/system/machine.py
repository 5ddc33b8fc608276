"""This machine: processor, memory, disk, GPUs; and the identity of a process, beyond its number.

Nothing here imports torch: describing the machine must not cost seconds or occupy a GPU.
"""

from __future__ import annotations

import functools
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import psutil

from workbench.system.cgroups import memory_of

# -- hardware -------------------------------------------------------------------------------------------------------


class Gpu(TypedDict):
    """A GPU; memory in bytes, None where the driver does not report it."""

    name: str
    memory_bytes: int | None
    free_bytes: int | None


class Cpu(TypedDict):
    """The processor; ``cores`` are those that this process may use."""

    name: str
    cores: int


class Memory(TypedDict):
    """Main memory."""

    total_bytes: int
    available_bytes: int


class Disk(TypedDict):
    """The disk of a folder."""

    total_bytes: int
    free_bytes: int


class Machine(TypedDict):
    """What this machine has, and the versions of Python and of the operating system."""

    cpu: Cpu
    memory: Memory
    disk: Disk
    gpus: list[Gpu]
    python: str
    platform: str


def describe(folder: Path | None = None) -> Machine:
    """Describe this machine.

    Args:
        folder: whose disk is described; the current folder by default.
    """
    memory = memory_of()
    disk = shutil.disk_usage(_existing(folder or Path.cwd()))
    return {
        "cpu": {"name": _cpu_name(), "cores": cpu_cores()},
        "memory": {"total_bytes": memory.total_bytes, "available_bytes": memory.available_bytes},
        "disk": {"total_bytes": disk.total, "free_bytes": disk.free},
        "gpus": gpus(),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def cpu_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def idle_cores(seconds: float = 0.3) -> int:
    """Return how many cores that this process may use are idle; at least 1.

    Threads wait for each other after every matrix product, so one that shares its core with another program holds up
    the rest: two threads on two busy cores can be far slower than one thread.

    Args:
        seconds: how long to watch.
    """
    busy: float = psutil.cpu_percent(interval=seconds) / 100 * (os.cpu_count() or 1)
    return max(1, cpu_cores() - round(busy))


def gpus() -> list[Gpu]:
    """Return the NVIDIA GPUs that nvidia-smi lists; none without it."""
    cards: list[Gpu] = []
    for line in _nvidia_smi("--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"):
        name, *numbers = (part.strip() for part in line.rsplit(",", 2))
        total, free = (int(number) * 2**20 if number.isdigit() else None for number in numbers)
        cards.append({"name": name, "memory_bytes": total, "free_bytes": free})
    return cards


def gpu_count() -> int:
    """Return how many GPUs runs can use: see :func:`gpu_names`."""
    return len(gpu_names())


def gpu_names() -> list[str]:
    """Return the value of ``CUDA_VISIBLE_DEVICES`` for each GPU; where that variable is set, only those it names."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(number) for number in range(_installed_gpus())]
    named = [name.strip() for name in visible.split(",") if name.strip()]
    return named[: named.index("-1")] if "-1" in named else named


@functools.cache
def _installed_gpus() -> int:
    return sum(line.startswith("GPU ") for line in _nvidia_smi("-L"))


def _nvidia_smi(*arguments: str) -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line for line in done.stdout.splitlines() if line.strip()]


@functools.cache
def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _existing(folder: Path) -> Path:
    """Return a folder, or the nearest folder above it that exists."""
    folder = folder.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


# -- memory ----------------------------------------------------------------------------------------------------------


def limit_onednn_cache() -> None:
    """Limit the kernels that oneDNN, which computes on CPUs, caches: one for each length of a batch.

    It would cache 1,024. With 32 a training run is as fast, and needs some hundred megabytes less (`RESULTS.md`). Call
    it before the process computes anything; a limit that the user has set stays.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")


def peak_rss_bytes() -> int:
    """Return the peak memory of this process in bytes (resident set)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def tree_rss_bytes(pid: int) -> int:
    """Return the memory in bytes of a process and its children now; 0 when it has ended.

    Args:
        pid: the process.
    """
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.Error:
            continue
    return total


# -- processes -------------------------------------------------------------------------------------------------------


def process_identity(pid: int | None = None) -> dict[str, int | float | str]:
    """Return what identifies a process: ``{"pid", "started", "boot", "host"}``.

    A process id is reused after a while, and after a reboot at once. With its start (in clock ticks since boot where
    the kernel has them, so that a clock that is set back changes nothing) and the boot it identifies one process.

    Args:
        pid: the process; this one by default.

    Raises:
        psutil.NoSuchProcess: there is none.
    """
    pid = os.getpid() if pid is None else pid
    return {"pid": pid, "started": _started(pid), "boot": _boot(), "host": socket.gethostname()}


def is_same_process(identity: Mapping[str, object]) -> bool:
    """Return whether a process is alive, and not another with its number.

    Args:
        identity: the result of :func:`process_identity`, as it was stored.
    """
    pid = identity.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        return process_identity(pid) == {key: identity.get(key) for key in ("pid", "started", "boot", "host")}
    except psutil.Error:
        return False


def _started(pid: int) -> float:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        return int(after_name.split()[19])  # field 22, "starttime"; the name, field 2, may contain spaces
    except (OSError, IndexError, ValueError):
        return float(psutil.Process(pid).create_time())


@functools.cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(round(psutil.boot_time()))
