"""Memory of this process's control group: its limit, what is in use, and what the kernel has killed for lack of it.

A container, a batch system or ``systemd-run`` limits a process through its control group (version 1 or 2). The whole
machine's numbers say nothing then: a run is killed at its group's limit while the machine has plenty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """Memory that a process may use, in bytes.

    Attributes:
        total_bytes: the machine's, or the lowest limit of its groups.
        available_bytes: what is left of it.
        is_limited: whether a group's limit is lower than the machine's memory.
    """

    total_bytes: int
    available_bytes: int
    is_limited: bool


def memory_of(pid: int | str = "self") -> Memory:
    """Return the memory that a process may use.

    Args:
        pid: the process; this one by default.
    """
    machine = psutil.virtual_memory()
    total, available, is_limited = int(machine.total), int(machine.available), False
    for group in _groups(pid):
        limit = _number(group / "memory.max") or _number(group / "memory.limit_in_bytes")
        if limit is None or limit >= machine.total:
            continue
        used = _number(group / "memory.current") or _number(group / "memory.usage_in_bytes") or 0
        reclaimable = _entry(group / "memory.stat", ("inactive_file", "total_inactive_file"))
        total, is_limited = min(total, limit), True
        available = min(available, max(0, limit - max(0, used - reclaimable)))
    return Memory(total, available, is_limited)


def oom_kills(pid: int | str = "self") -> int:
    """Return how many processes the kernel has killed for lack of memory in a process's group.

    Where its group does not count them, those of the whole machine; 0 where that does not either.

    Args:
        pid: the process; this one by default.
    """
    for group in _groups(pid):
        for name in ("memory.events", "memory.oom_control"):
            if (group / name).is_file() and (kills := _entry(group / name, ("oom_kill",), -1)) >= 0:
                return kills
    return _entry(PROC / "vmstat", ("oom_kill",))


def _groups(pid: int | str) -> Iterator[Path]:
    """Yield the folders of a process's memory group and of those above it, the lowest first."""
    try:
        lines = (PROC / str(pid) / "cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "memory" in controllers.split(","):
            root = CGROUPS / "memory"
        elif number == "0" and not controllers:
            root = CGROUPS
        else:
            continue
        group = root / path.lstrip("/")
        if not group.is_dir():  # in a container, the path is that of the host, and the root is its own group
            group = root
        while True:
            if group.is_dir():
                yield group
            if group == root or root not in group.parents:
                break
            group = group.parent


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # "max" means that there is no limit
        return None


def _entry(path: Path, names: tuple[str, ...], missing: int = 0) -> int:
    """Return the last of the named entries of a file of lines ``name number``."""
    value = missing
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return missing
    for line in lines:
        name, _, number = line.partition(" ")
        if name in names and number.strip().isdigit():
            value = int(number)
    return value
