"""Files that are whole or absent: atomic replacement, appended lines, locks, and names that stay inside a folder.

Everything that the workbench writes goes through this module, so that the rules stand in one place:

- a file that others read is written aside, flushed to the disk and renamed into place; a reader sees the old
  content or the new one, never half;
- a file of lines is appended to with one write a line; a reader passes over an unfinished last line;
- a lock is the operating system's (``flock``): it goes with the process that held it, however that ended.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import random
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from workbench.errors import BusyError, RefusedError, StorageError, UnknownNameError, WorkbenchError

TEMPORARY_PREFIX = ".tmp-"  # what a crash may leave behind begins so, and is never read

_STORAGE_ERRNOS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EIO: "the disk reported an error",
    errno.EACCES: "writing is not allowed",
    errno.EPERM: "writing is not allowed",
    errno.EFBIG: "the file would be larger than this system allows",
}


_WRAPPED_ERRNO = re.compile(r"\(os error (\d+)\)")  # how libraries written in Rust tell the system's error


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's storage errors into :class:`StorageError`, which says what to do.

    safetensors and tokenizers raise errors of their own, which hold the system's error number in their text only.
    """
    try:
        yield
    except Exception as error:
        reason = _STORAGE_ERRNOS.get(_errno_of(error))
        if reason is None:
            raise
        raise StorageError(
            f"{path.name} could not be written to {path.parent}: {reason}.",
            "Free some space (workbench data clean) or set WORKBENCH_HOME to a folder with room, then resume the run.",
        ) from error


def _errno_of(error: Exception) -> int:
    """The number of the system's error behind ``error``; 0 if there is none."""
    if isinstance(error, OSError):
        return error.errno or 0
    match = None if isinstance(error, WorkbenchError) else _WRAPPED_ERRNO.search(str(error))
    return int(match[1]) if match else 0


def fsync_file(path: Path) -> None:
    """Flush what some library has written to ``path``."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def fsync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` survive a power cut, where the file system can do that for a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def write_atomically(path: Path, write: Callable[[IO[bytes]], object], mode: int = 0o644) -> None:
    """Replace ``path`` by what ``write(file)`` writes, all of it or nothing.

    Args:
        path: the file; its folder must exist.
        write: called with a binary file.
        mode: permissions of the new file.

    Raises:
        StorageError: the disk is full, read-only or broken; ``path`` is then as it was before, or (when only the
            folder could not be flushed) already whole and new.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{path.name}-{secrets.token_hex(4)}")
    with storage_errors(path):
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(handle, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        fsync_folder(path.parent)


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace ``path`` by ``text`` in UTF-8, atomically."""
    write_atomically(path, lambda file: file.write(_encode(text)), mode)


def _encode(text: str) -> bytes:
    """``text`` in UTF-8; a lone surrogate, which UTF-8 has no bytes for, becomes JSON's escape for it."""
    return text.encode("utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any, mode: int = 0o644) -> None:
    """Replace ``path`` by ``value`` as JSON, atomically. NaN and infinity become null: they are not JSON."""
    write_text(path, json.dumps(finite(value), indent=1, ensure_ascii=False) + "\n", mode)


def finite(value: Any) -> Any:
    """``value`` with every NaN and infinity replaced by None, all the way down."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def read_json(path: Path) -> Any | None:
    """The JSON in ``path``; None when it is missing or is not JSON (a foreign or damaged file)."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


_YOUNG = 2 * 10**9  # ns: within the clock of a file system two changes may look like one


class _FileCache:
    """What files held when they were last read.

    Args:
        most: files, beyond which those that were read first are forgotten.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[tuple[str, int], tuple[tuple[int, int, int], Any]] = {}
        self._lock = threading.Lock()

    def read(self, path: Path, read: Callable[[Path], Any], bytes_read: int = 0) -> Any | None:
        """``read(path)``, or what it returned before if the file has not changed since; None for a missing one.

        What is told of a file (time of change, size, inode) decides; one that changed in the last two seconds is
        always read, for it could change again without looking so. The same object is given to everybody: it must not
        be changed.

        Args:
            path: of the file.
            read: called with it.
            bytes_read: how much of the file that reads, 0 for all of it; one file may be read in several ways.
        """
        name = str(path), bytes_read
        try:
            stat = os.stat(path)
        except OSError:
            self._found.pop(name, None)
            return None
        mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = self._found.get(name)
        if known is not None and known[0] == mark:
            return known[1]
        found = read(path)
        if time.time_ns() - stat.st_mtime_ns > _YOUNG:
            with self._lock:
                self._found[name] = (mark, found)
                while len(self._found) > self._most:
                    self._found.pop(next(iter(self._found)))
        return found


_JSON = _FileCache(30_000)
_ENDS = _FileCache(16)


def read_json_cached(path: Path) -> Any | None:
    """As ``read_json``, for who asks again and again: a file that has not changed is not read again."""
    return _JSON.read(path, read_json)


def append_line(path: Path, value: dict[str, Any]) -> None:
    """Append ``value`` to ``path`` as one line of JSON.

    If a process died in the middle of the line before, that half line is ended first, so that it spoils nothing.
    """
    line = _encode(json.dumps(finite(value), ensure_ascii=False)) + b"\n"
    with storage_errors(path), open(path, "ab+", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                line = b"\n" + line
        while line:  # once, except on a disk that is nearly full: there the second write says why
            line = line[file.write(line) :]


def read_lines(path: Path, start: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The whole JSON lines of ``path`` from byte ``start``, and the byte to go on from.

    An unfinished last line is left for the next call; a damaged line is passed over.
    """
    try:
        with open(path, "rb") as file:
            if start > file.seek(0, os.SEEK_END):  # it has been replaced by a shorter one: begin again
                start = 0
            file.seek(start)
            content = file.read()
    except OSError:
        return [], start
    end = content.rfind(b"\n") + 1
    return _rows(content[:end]), start + end


def last_lines(path: Path, most: int) -> list[dict[str, Any]]:
    """The whole JSON lines among the last ``most`` bytes of ``path``: what a look costs does not grow with the file.

    Who asks again is given the same rows until the file changes: they must not be changed.
    """
    return _ENDS.read(path, lambda path: _last_lines(path, most), most) or []


def _last_lines(path: Path, most: int) -> list[dict[str, Any]]:
    try:
        with open(path, "rb") as file:
            begin = max(0, file.seek(0, os.SEEK_END) - most)
            file.seek(max(0, begin - 1))
            content = file.read()
    except OSError:
        return []
    first = content.find(b"\n") + 1 if begin else 0
    return _rows(content[first : content.rfind(b"\n") + 1])


def _rows(content: bytes) -> list[dict[str, Any]]:
    rows = []
    for line in content.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict):
                rows.append(row)
    return rows


# -- names and places ---------------------------------------------------------------------------------------------

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def safe_name(name: str, what: str = "name") -> str:
    """``name`` when it can be one path component anywhere; RefusedError for anything else.

    Letters, digits, ``.``, ``_`` and ``-``, not beginning with a dot: no separators, no drive, no NUL, no encoding of
    these can be in it.
    """
    if not isinstance(name, str) or not _SAFE_NAME.fullmatch(name) or ".." in name:
        raise RefusedError(
            f"{str(name)[:80]!r} is not a valid {what}.",
            "It may hold letters, digits, '.', '_' and '-', and must begin with a letter or digit.",
        )
    return name


def inside(folder: Path, path: str | Path, what: str = "file") -> Path:
    """``path`` resolved, when it lies inside ``folder``; RefusedError when it does not.

    Resolved paths are compared, component by component: ``..``, symbolic links and a sibling that shares the prefix
    (``runs`` and ``runs2``) all count as outside.
    """
    text = str(path)
    if "\0" in text:
        raise RefusedError(f"The {what} name holds a NUL character.", "Choose another name.")
    try:
        base = folder.resolve()
        resolved = (base / path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, characters that no file name can hold
        raise RefusedError(f"The {what} {text[:120]!a} cannot be looked up: {error}.", "Choose another.") from error
    if resolved != base and base not in resolved.parents:
        raise RefusedError(f"The {what} {text[:120]!r} lies outside {base}.", f"Put it into {base} first.")
    return resolved


def slug(text: str, length: int = 60) -> str:
    """``text`` as a piece of a folder name: ASCII letters and digits, joined by single hyphens."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()
    return words[:length].strip("-") or "run"


# -- locks --------------------------------------------------------------------------------------------------------


class Lock:
    """A lock that one process holds, with a note of who holds it.

    The operating system frees it when the process ends, so a crash leaves no stale lock and a process id that was
    given out again deceives nobody.

    Args:
        path: the lock file; it stays when the lock is free.
        holder: what others are told while it is held: ``{"pid": ..., "what": ...}``.
        make_folder: make the lock's folder when it is missing. False for a folder that may be deleted meanwhile,
            such as a run's: it must not come back as a ghost.
    """

    def __init__(self, path: Path, holder: dict[str, Any] | None = None, make_folder: bool = True) -> None:
        self.path = path
        self._make_folder = make_folder
        self._holder = holder if holder is not None else {"pid": os.getpid()}
        self._handle: int | None = None

    def acquire(self, wait: bool = False) -> bool:
        """Take the lock; with ``wait``, until it is free. False when another holds it.

        Raises:
            UnknownNameError: the folder is missing and is not to be made.
            StorageError: the lock file cannot be made.
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
                return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except FileNotFoundError as error:
                folder = self.path.parent.name
                raise UnknownNameError("folder", folder, (), "It may have been deleted meanwhile.") from error

    def inherit(self, handle: int) -> None:
        """Take over the lock from the process that started this one, which held it under this file descriptor."""
        os.set_inheritable(handle, False)
        self._handle = handle

    def detach(self) -> None:
        """Forget the lock without giving it back: a child that was given ``fileno`` holds it from now on."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def fileno(self) -> int:
        """The file descriptor that holds the lock, to be passed on to a child."""
        if self._handle is None:
            raise ValueError(f"{self.path.name} is not held")
        return self._handle

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)
            os.close(handle)

    def holder(self) -> dict[str, Any]:
        """The note of whoever holds the lock now; empty when nobody does."""
        if not self.is_held():
            return {}
        note = read_json(self.path)
        return note if isinstance(note, dict) else {}

    def is_held(self) -> bool:
        """Whether some process (this one included) holds the lock."""
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True
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
    """Take the exclusive lock. Somebody who only looks whether it is held (``is_held``) does not count as a holder."""
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
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # fails only where somebody holds it exclusively
        except BlockingIOError:
            return False
        fcntl.flock(handle, fcntl.LOCK_UN)
        time.sleep(random.uniform(0.0005, 0.003))


@contextlib.contextmanager
def waiting_lock(path: Path, make_folder: bool = True) -> Iterator[None]:
    """Hold the lock at ``path`` for a moment, waiting for whoever holds it now."""
    lock = Lock(path, make_folder=make_folder)
    lock.acquire(wait=True)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def replace_folder(target: Path) -> Iterator[Path]:
    """A folder to write into that takes the place of ``target`` when all went well, and vanishes when not.

    Raises:
        StorageError: the disk is full, read-only or broken.
    """
    draft = target.with_name(f"{TEMPORARY_PREFIX}{target.name}")
    with storage_errors(target):
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir(parents=True)
            yield draft
            for path in draft.rglob("*"):
                fsync_folder(path) if path.is_dir() else fsync_file(path)
            fsync_folder(draft)
            shutil.rmtree(target, ignore_errors=True)
            draft.rename(target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        fsync_folder(target.parent)
