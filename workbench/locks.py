"""Locks that one process holds. POSIX only.

A lock is the operating system's (``flock``): it is released when the process that holds it ends, however it ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import random
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import BusyError, StorageError, UnknownNameError
from workbench.files import read_json, storage_errors
from workbench.system.opening import PRIVATE


class Lock:
    """A lock that one process holds, with a note about the holder.

    The operating system releases it when the process ends, so a crash leaves no stale lock, and a reused process id
    causes no confusion.

    Args:
        path: the lock file; it stays when the lock is free.
        holder: the note that others can read while it is held: ``{"pid": ..., "what": ...}``.
        make_folder: create the lock's folder when it is missing. False for a folder that may be deleted meanwhile,
            such as a run's: it must not reappear.
    """

    def __init__(self, path: Path, holder: Mapping[str, object] | None = None, make_folder: bool = True) -> None:
        self.path = path
        self._make_folder = make_folder
        self._holder = holder if holder is not None else {"pid": os.getpid()}
        self._handle: int | None = None

    def acquire(self, wait: bool = False) -> bool:
        """Acquire the lock.

        Args:
            wait: until it is free.

        Returns:
            False when another process holds it.

        Raises:
            UnknownNameError: the folder is missing and must not be created.
            StorageError: the lock file cannot be created.
        """
        handle = self._open() if self._handle is None else self._handle
        try:
            if not _flock(handle, wait):
                os.close(handle)
                return False
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        with contextlib.suppress(OSError):  # on a full disk the lock holds without its note
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(self._holder).encode(), 0)
        return True

    def _open(self) -> int:
        with storage_errors(self.path):
            if self._make_folder:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
                handle = os.open(self.path, flags, PRIVATE)
            except FileNotFoundError as error:
                folder = self.path.parent.name
                raise UnknownNameError("folder", folder, (), "It may have been deleted meanwhile.") from error
            except OSError as error:
                if error.errno in (errno.EISDIR, errno.ELOOP, errno.ENXIO):
                    raise self._is_special() from error
                raise
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            os.close(handle)
            raise self._is_special()
        if state.st_mode & 0o077:  # who can read the file of an earlier version can take its lock
            with contextlib.suppress(OSError):
                os.fchmod(handle, PRIVATE)
        return handle

    def _is_special(self) -> StorageError:
        return StorageError(f"{self.path} is a folder, a link or a device in place of a lock.", "Delete it.")

    def inherit(self, handle: int) -> None:
        """Take over the lock from the process that started this one.

        Args:
            handle: the file descriptor under which that process held it.
        """
        os.set_inheritable(handle, False)
        self._handle = handle

    def detach(self) -> None:
        """Close the lock without releasing it: a child that has inherited ``fileno`` holds it from now on."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def fileno(self) -> int:
        """Return the file descriptor that holds the lock, for a child to inherit."""
        if self._handle is None:
            raise ValueError(f"{self.path.name} is not held")
        return self._handle

    def release(self) -> None:
        """Release the lock, if this object holds it."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)
            os.close(handle)

    def holder(self) -> dict[str, Any]:
        """Return the note of the process that holds the lock now; empty when none does."""
        if not self.is_held():
            return {}
        note = read_json(self.path)
        return note if isinstance(note, dict) else {}

    def is_current(self) -> bool:
        """Return whether the lock that this object holds is still the one that others see.

        The file may have been deleted, or its folder replaced: then another process can hold the new one.
        """
        if self._handle is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._handle), os.stat(self.path))
        except OSError:
            return False

    def is_held(self) -> bool:
        """Return whether some process (this one included) holds the lock."""
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True
        except OSError:  # a special file in place of the lock
            return False
        finally:
            os.close(handle)

    def __enter__(self) -> Lock:
        if not self.acquire():
            raise BusyError(
                f"{self.path.name} is held by {self.holder() or 'another process'}.", "Wait, then try again."
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _flock(handle: int, wait: bool) -> bool:
    """Acquire the exclusive lock. A process that only checks whether it is held (``is_held``) is not a holder."""
    if wait:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return True
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            pass
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # fails only if another process holds it exclusively
        except BlockingIOError:
            return False
        fcntl.flock(handle, fcntl.LOCK_UN)
        time.sleep(random.uniform(0.0005, 0.003))


@contextlib.contextmanager
def waiting_lock(path: Path, make_folder: bool = True) -> Iterator[None]:
    """Hold a lock for a moment, after waiting for the process that holds it now.

    Args:
        path: the lock file.
        make_folder: see :class:`Lock`.
    """
    lock = Lock(path, make_folder=make_folder)
    lock.acquire(wait=True)
    try:
        yield
    finally:
        lock.release()
