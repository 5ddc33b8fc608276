"""Files that are complete or absent: atomic replacement, appended lines, and names that stay inside a folder.

POSIX only: a rename must replace a file atomically. Locks are in :mod:`workbench.locks`.

Everything that the workbench writes goes through this module, so that the rules are in one place:

- a file that others read is written to a temporary file, flushed to the disk and renamed into place; a reader sees the
  old content or the new one, never half of it;
- a file of lines is appended to with one write per line; a reader skips an unfinished last line.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from workbench.errors import RefusedError, StorageError, WorkbenchError
from workbench.system.opening import MAX_DOCUMENT_BYTES, PRIVATE, is_deeper, open_regular, private_opener, read_limited
from workbench.system.storage import room_hint

TEMPORARY_PREFIX = ".tmp-"  # of what a crash may leave behind; such files are never read
SHARED = 0o666  # less what the user's umask takes away
MAX_DEPTH = 100  # levels of a JSON document; a deeper one is not ours

_STORAGE_ERRNOS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EIO: "the disk reported an error",
    errno.EACCES: "writing is not allowed",
    errno.EPERM: "writing is not allowed",
    errno.EFBIG: "the file would be larger than this system allows",
}


_SQLITE = {  # how SQLite reports it
    "database or disk is full": errno.ENOSPC,
    "attempt to write a readonly database": errno.EROFS,
    "disk I/O error": errno.EIO,
}
_WRAPPED_ERRNO = re.compile(r"\(os error (\d+)\)")  # how libraries written in Rust report the system's error


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's storage errors into :class:`StorageError`, which says what to do.

    safetensors and tokenizers raise errors of their own, which have the system's error number in their text only.

    Args:
        path: what is written, for the message.

    Raises:
        StorageError: the disk is full, read-only or broken, or writing is not allowed.
    """
    try:
        yield
    except Exception as error:
        reason = _STORAGE_ERRNOS.get(_errno_of(error))
        if reason is None:
            raise
        raise StorageError(
            f"{path.name} could not be written to {path.parent}: {reason}.", _storage_hint(path.parent, error), reason
        ) from error


@contextlib.contextmanager
def optional_write() -> Iterator[None]:
    """Do without a cache that cannot be written: leave the block at the first storage error.

    For everything that is stored only so that it is faster the next time.
    """
    with contextlib.suppress(StorageError, OSError):
        yield


def _storage_hint(folder: Path, error: Exception) -> str:
    if _errno_of(error) in (errno.ENOSPC, errno.EDQUOT):
        return f"{room_hint(folder)} Or set WORKBENCH_HOME to a folder with room. Then resume the run."
    return "Check the disk and its permissions, or set WORKBENCH_HOME to another folder. Then resume the run."


def _errno_of(error: Exception) -> int:
    """Return the number of the system's error behind an exception; 0 if there is none."""
    if isinstance(error, OSError):
        return error.errno or 0
    if isinstance(error, WorkbenchError):
        return 0
    text = str(error)
    match = _WRAPPED_ERRNO.search(text)
    return int(match[1]) if match else next((code for words, code in _SQLITE.items() if words in text), 0)


def fsync_file(path: Path) -> None:
    """Flush what a library has written to a file.

    Args:
        path: the file.
    """
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def fsync_folder(folder: Path) -> None:
    """Make renames inside a folder survive a power cut, where the file system supports that.

    Args:
        folder: the folder.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def write_atomically(path: Path, write: Callable[[IO[bytes]], object], mode: int = PRIVATE) -> None:
    """Replace a file by what ``write(file)`` writes, completely or not at all.

    Args:
        path: the file; its folder must exist.
        write: called with a binary file.
        mode: permissions of the new file: ``PRIVATE``, or ``SHARED`` for one that the user asked for elsewhere.

    Raises:
        StorageError: the disk is full, read-only or broken; the file is then as it was before, or (when only the
            folder could not be flushed) complete and new.
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


def write_text(path: Path, text: str, mode: int = PRIVATE) -> None:
    """Replace a file by a text in UTF-8, atomically.

    Args:
        path: the file; its folder must exist.
        text: the new content.
        mode: permissions of the new file: ``PRIVATE``, or ``SHARED`` for one that the user asked for elsewhere.
    """
    write_atomically(path, lambda file: file.write(_encode(text)), mode)


def _encode(text: str) -> bytes:
    """Return a text in UTF-8; a lone surrogate, which UTF-8 has no bytes for, becomes JSON's escape for it."""
    return text.encode("utf-8", errors="backslashreplace")


def write_json(path: Path, value: object, mode: int = PRIVATE) -> None:
    """Replace a file by a value as JSON, atomically. NaN and infinity become null: they are not JSON.

    Args:
        path: the file; its folder must exist.
        value: the new content.
        mode: permissions of the new file: ``PRIVATE``, or ``SHARED`` for one that the user asked for elsewhere.
    """
    write_text(path, json.dumps(finite(value), indent=1, ensure_ascii=False) + "\n", mode)


def finite(value: object) -> object:
    """Return a value with every NaN and infinity in it replaced by None.

    Args:
        value: any JSON value.
    """
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def read_json(path: Path, max_bytes: int = MAX_DOCUMENT_BYTES) -> Any | None:
    """Return the JSON in a file; None when it is missing or is not JSON (another program's, or damaged).

    A special file, a file above the limit, and JSON of more than ``MAX_DEPTH`` levels are damaged, too.

    Args:
        path: the file.
        max_bytes: the limit.
    """
    try:
        content = read_limited(path, max_bytes)
        if content.count(b"[") + content.count(b"{") > MAX_DEPTH and is_deeper(content, MAX_DEPTH):
            return None
        return json.loads(content)
    except (OSError, ValueError, RecursionError, MemoryError):
        return None


_RECENT = 2 * 10**9  # nanoseconds: within the clock of a file system two changes may look like one

C = TypeVar("C")


class _FileCache(Generic[C]):
    """What files contained when they were last read.

    Args:
        size: number of files, beyond which those that were read first are dropped.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._contents: dict[tuple[str, int], tuple[tuple[int, int, int], C]] = {}
        self._lock = threading.Lock()

    def read(self, path: Path, read: Callable[[Path], C], bytes_read: int = 0) -> C | None:
        """Return ``read(path)``, or what it returned before if the file has not changed since.

        A file has changed if its modification time, size or inode has; one that changed in the last two seconds is
        always read, because it could change again without a trace. All callers share the object: they must not
        change it.

        Args:
            path: the file.
            read: called with it.
            bytes_read: how much of the file that reads, 0 for all of it; one file may be read in several ways.

        Returns:
            The content; None for a missing file.
        """
        key = str(path), bytes_read
        try:
            now = os.stat(path)
        except (OSError, ValueError):
            self._contents.pop(key, None)
            return None
        signature = (now.st_mtime_ns, now.st_size, now.st_ino)
        cached = self._contents.get(key)
        if cached is not None and cached[0] == signature:
            return cached[1]
        content = read(path)
        if time.time_ns() - now.st_mtime_ns > _RECENT:
            with self._lock:
                self._contents[key] = (signature, content)
                while len(self._contents) > self._size:
                    self._contents.pop(next(iter(self._contents)))
        return content


_json_cache: _FileCache[Any] = _FileCache(30_000)
_tail_cache: _FileCache[list[dict[str, Any]]] = _FileCache(16)


def read_json_cached(path: Path, max_bytes: int = MAX_DOCUMENT_BYTES) -> Any | None:
    """Return the JSON in a file like :func:`read_json`; a file that has not changed is not read again.

    Args:
        path: the file.
        max_bytes: the limit.

    Returns:
        The JSON, which the caller must not change.
    """
    return _json_cache.read(path, lambda path: read_json(path, max_bytes))


def append_line(path: Path, value: Mapping[str, object]) -> None:
    """Append a JSON object to a file as one line.

    If a process died in the middle of the line before, that half line is ended first, so that only it is lost.

    Args:
        path: the file, which is created if it is missing.
        value: the object.

    Raises:
        StorageError: the disk is full, read-only or broken.
    """
    line = _encode(json.dumps(finite(value), ensure_ascii=False)) + b"\n"
    with storage_errors(path), open(path, "ab+", buffering=0, opener=private_opener) as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                line = b"\n" + line
        while line:  # once, except on a disk that is nearly full: there the second write says why
            line = line[file.write(line) :]


def read_lines(path: Path, start: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Return the complete JSON lines of a file from a byte on.

    Args:
        path: the file; a missing one has no lines.
        start: the byte to start from.

    Returns:
        The lines, and the byte to start from next time. An unfinished last line is left for then; a damaged line is
        skipped.
    """
    try:
        with open_regular(path) as file:
            if start > file.seek(0, os.SEEK_END):  # it has been replaced by a shorter one
                start = 0
            file.seek(start)
            content = file.read()
    except OSError:
        return [], start
    end = content.rfind(b"\n") + 1
    return _rows(content[:end]), start + end


def last_lines(path: Path, max_bytes: int) -> list[dict[str, Any]]:
    """Return the complete JSON lines among the last bytes of a file, so that the cost does not grow with the file.

    Args:
        path: the file; a missing one has no lines.
        max_bytes: how much of it is read.

    Returns:
        The lines, which the caller must not change: until the file changes, every call returns the same.
    """
    return _tail_cache.read(path, lambda path: _last_lines(path, max_bytes), max_bytes) or []


def _last_lines(path: Path, max_bytes: int) -> list[dict[str, Any]]:
    try:
        with open_regular(path) as file:
            start = max(0, file.seek(0, os.SEEK_END) - max_bytes)
            file.seek(max(0, start - 1))
            content = file.read()
    except OSError:
        return []
    first = content.find(b"\n") + 1 if start else 0
    return _rows(content[first : content.rfind(b"\n") + 1])


def _rows(content: bytes) -> list[dict[str, Any]]:
    rows = []
    for line in content.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict):
                rows.append(row)
    return rows


# -- names and paths ----------------------------------------------------------------------------------------------

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def is_safe_name(name: object) -> bool:
    """Return whether :func:`safe_name` accepts a name.

    Args:
        name: anything.
    """
    return isinstance(name, str) and bool(_SAFE_NAME.fullmatch(name)) and ".." not in name


def safe_name(name: str, what: str = "name") -> str:
    """Return a name if it can be one path component on any system.

    Letters, digits, ``.``, ``_`` and ``-``, not starting with a dot: it cannot contain a separator, a drive, a NUL, or
    an encoding of these.

    Args:
        name: any text.
        what: what it names, for the message.

    Raises:
        RefusedError: it is anything else.
    """
    if not is_safe_name(name):
        raise RefusedError(
            f"{str(name)[:80]!r} is not a valid {what}.",
            "It may contain letters, digits, '.', '_' and '-', and must start with a letter or digit.",
        )
    return name


def inside(folder: Path, path: str | Path, what: str = "file") -> Path:
    """Return a resolved path if it is inside a folder.

    Resolved paths are compared component by component: ``..``, symbolic links and a sibling that shares the prefix
    (``runs`` and ``runs2``) all count as outside.

    Args:
        folder: the folder.
        path: relative to it, or absolute.
        what: what it names, for the message.

    Raises:
        RefusedError: it is outside, or cannot be resolved.
    """
    text = str(path)
    if "\0" in text:
        raise RefusedError(f"The {what} name contains a NUL character.", "Choose another name.")
    try:
        base = folder.resolve()
        resolved = (base / path).resolve()
        if any(each.is_symlink() for each in (resolved, *resolved.parents)):  # from Python 3.13 on, no error
            raise OSError("it is part of a loop of symbolic links")
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or characters that no file name can contain
        raise RefusedError(f"The {what} {text[:120]!a} cannot be resolved: {error}.", "Choose another.") from error
    if resolved != base and base not in resolved.parents:
        raise RefusedError(f"The {what} {text[:120]!r} is outside {base}.", f"Put it into {base} first.")
    return resolved


def slug(text: str, length: int = 60) -> str:
    """Return a text as part of a folder name: ASCII letters and digits, joined by single hyphens.

    Args:
        text: any text.
        length: maximum length of the result.
    """
    words = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()
    return words[:length].strip("-") or "run"


# -- folders ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def replace_folder(target: Path) -> Iterator[Path]:
    """Yield a folder to write into. It replaces another one when the block succeeds, and is removed when it fails.

    Args:
        target: the folder to replace.

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
