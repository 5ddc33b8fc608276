"""Inject faults: count what a process writes below a folder, and make the n-th write fail.

A *write event* is anything that changes the disk: opening a file for writing, a write, an fsync, a rename, creating a
folder, removing a file or folder, saving a file of tensors. :func:`install` counts the events and injects a
:class:`Fault` just before the selected one; half of a write is done first, so that it is torn.

Python's audit hooks see every open, rename, mkdir and removal, whatever calls it. Counting functions replace write,
fsync and safetensors' own writing. An audit hook cannot be removed, so only a short-lived process may install it.
"""

from __future__ import annotations

import builtins
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SIGNALS = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM}
REQUESTS = ("terminate", "stop")  # the event itself then happens normally
NEEDS_NO_ROOM = ("remove", "rmdir")  # succeed on a full disk


@dataclass(frozen=True)
class Fault:
    """A fault and the event at which it happens.

    Attributes:
        kind: ``none``; ``kill`` (SIGKILL); ``terminate`` (SIGTERM); ``stop`` (requests a stop through the file
            ``stop``); or the name of a system error such as ``ENOSPC``.
        at: the number, from 1, of the event among those that match ``operation`` and ``path``.
        operation: ``open``, ``write``, ``fsync``, ``rename``, ``mkdir``, ``remove``, ``rmdir``, ``truncate`` or
            ``save``; any if empty.
        path: a pattern for the path below the folder; any if empty.
        lasting: whether every event from then on fails. A full disk has room again once a file is removed.
    """

    kind: str = "none"
    at: int = 1
    operation: str = ""
    path: str = ""
    lasting: bool = False

    def matches(self, operation: str, path: str) -> bool:
        return self.operation in ("", operation) and (not self.path or fnmatch(path, self.path))


@dataclass
class Writes:
    """The events below ``root`` so far, and the fault to inject."""

    root: Path
    fault: Fault
    events: list[tuple[str, str]] = field(default_factory=list)
    n_injected: int = 0
    _n_matching: int = 0
    _room_again: bool = False
    _quiet: bool = False
    _lock: Any = field(default_factory=threading.RLock)

    def event(self, operation: str, path: str, tear: Callable[[], object] = lambda: None) -> None:
        """Record an event that is about to happen; ``tear`` does half of it."""
        with self._lock:
            if self._quiet or not path.startswith(f"{self.root}/"):
                return
            name = path.removeprefix(f"{self.root}/")
            self.events.append((operation, name))
            if self.n_injected and operation == "remove" and os.path.exists(path):
                self._room_again = True
            self._n_matching += self.fault.matches(operation, name)
            if self._due(operation, name):
                self.n_injected += 1
                self._quiet = True
                try:
                    if self.fault.kind not in REQUESTS:
                        tear()
                    self._inject(path)
                finally:
                    self._quiet = False

    def _due(self, operation: str, name: str) -> bool:
        fault = self.fault
        if fault.kind == "none" or self._n_matching < fault.at:
            return False
        if self.n_injected:
            return fault.lasting and not (fault.kind == "ENOSPC" and (self._room_again or operation in NEEDS_NO_ROOM))
        return fault.matches(operation, name) and not (fault.kind == "ENOSPC" and operation in NEEDS_NO_ROOM)

    def _inject(self, path: str) -> None:
        kind = self.fault.kind
        if kind in SIGNALS:
            os.kill(os.getpid(), SIGNALS[kind])
        elif kind == "stop":
            (self.root / "stop").touch()
        else:
            number = getattr(errno, kind)
            raise OSError(number, os.strerror(number), path)


class _CountedFile:
    """A file whose writes are events."""

    def __init__(self, file: Any, path: str, writes: Writes) -> None:
        self._file, self._path, self._writes = file, path, writes

    def write(self, data: Any) -> int:
        def tear() -> None:
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        self._writes.event("write", self._path, tear)
        return self._file.write(data)

    def __enter__(self) -> _CountedFile:
        self._file.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        self._file.__exit__(*details)

    def __iter__(self) -> Any:
        return iter(self._file)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def install(root: Path, fault: Fault) -> Writes:
    """Count this process's write events below ``root`` from now on, and inject ``fault``. Linux only."""
    writes = Writes(root, fault)
    _listen(writes)
    _count_files(writes)
    _count_tensors(writes)
    return writes


def _listen(writes: Writes) -> None:
    names = {"os.rename": "rename", "os.mkdir": "mkdir", "os.remove": "remove", "os.rmdir": "rmdir"}
    folder_at = {"os.mkdir": 2, "os.remove": 1, "os.rmdir": 1, "os.rename": 2}  # index of the hook's dir_fd argument

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if isinstance(arguments[0], str) and isinstance(arguments[2], int) and arguments[2] & WRITING:
                writes.event("open", arguments[0])
        elif event in names:
            path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | os.PathLike) else ""
            handle = arguments[folder_at[event]]
            if isinstance(handle, int) and handle >= 0:
                path = os.path.join(_path_of(handle), path)
            writes.event(names[event], path)

    sys.addaudithook(hook)


def _count_files(writes: Writes) -> None:
    real_open, real_fdopen, real_fsync, real_truncate = builtins.open, os.fdopen, os.fsync, os.ftruncate

    def counted(file: Any, mode: str) -> Any:
        path = _path_of(file.fileno()) if set(mode) & set("wxa+") else ""
        return _CountedFile(file, path, writes) if path.startswith(f"{writes.root}/") else file

    def counting_open(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        return counted(real_open(file, mode, *rest, **options), mode)

    def counting_fdopen(handle: int, mode: str = "r", *rest: Any, **options: Any) -> Any:
        return counted(real_fdopen(handle, mode, *rest, **options), mode)

    def counting_fsync(handle: Any) -> None:
        writes.event("fsync", _path_of(handle if isinstance(handle, int) else handle.fileno()) + "/")
        real_fsync(handle)

    def counting_truncate(handle: int, length: int) -> None:
        writes.event("truncate", _path_of(handle))
        real_truncate(handle, length)

    builtins.open, os.fdopen = counting_open, counting_fdopen  # type: ignore[assignment]
    os.fsync, os.ftruncate = counting_fsync, counting_truncate


def _count_tensors(writes: Writes) -> None:
    """Count each file that safetensors writes in Rust as one event; tear it by cutting the file in half."""
    import safetensors.torch
    from safetensors import SafetensorError

    real = safetensors.torch.serialize_file

    def counting(tensors: Any, filename: Any, *rest: Any, **options: Any) -> None:
        path = os.fspath(filename)

        def tear() -> None:
            real(tensors, filename, *rest, **options)
            os.truncate(path, os.path.getsize(path) // 2)

        try:
            writes.event("save", path, tear)
        except OSError as error:  # as safetensors reports it
            reason = f"I/O error: {os.strerror(error.errno or 0)} (os error {error.errno})"
            raise SafetensorError(f"Error while serializing: {reason}") from None
        real(tensors, filename, *rest, **options)

    safetensors.torch.serialize_file = counting


def _path_of(handle: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{handle}")
    except OSError:
        return ""
