"""Opens files that may be anything: in a folder of the user, a name can belong to a pipe, a device or a huge file.

Only regular files are opened, and documents are read up to a limit, so that one such file cannot hold up a list.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import IO

PRIVATE = 0o600  # permissions of a file that only its owner can read
MAX_DOCUMENT_BYTES = 16 * 2**20  # of a JSON document; a larger one is not ours


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file for reading.

    Opening a named pipe would wait for a writer, and a device may have no end: neither is opened, nor are links to
    them.

    Args:
        path: the file, or a link to it.

    Raises:
        OSError: it is missing, is not a regular file, or cannot be read.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # before it is opened, which alone may have effects on a device
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def open_log(path: Path) -> IO[bytes]:
    """Open a file to append to; only the owner can read a new one.

    Args:
        path: the file, which is created if it is missing.

    Raises:
        OSError: it is not a regular file, or cannot be written.
    """
    return open(path, "ab", buffering=0, opener=private_opener)


def read_limited(path: Path, max_bytes: int = MAX_DOCUMENT_BYTES) -> bytes:
    """Return the content of a regular file that is not larger than a limit.

    Args:
        path: the file.
        max_bytes: the limit.

    Raises:
        OSError: it is missing, is not a regular file, is larger, or cannot be read.
    """
    with open_regular(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes:,} bytes", str(path))
    return content


def private_opener(path: str, flags: int) -> int:
    """Open a file that only its owner can read, unless it is a pipe or a device; the ``opener`` of :func:`open`.

    Args:
        path: the file.
        flags: of ``os.open``.
    """
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, PRIVATE)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return handle


_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def is_deeper(content: bytes, levels: int) -> bool:
    """Return whether JSON has more than this many levels, without reading it by recursion.

    Args:
        content: JSON.
        levels: of lists and objects.
    """
    depth = 0
    for match in _BRACKETS.finditer(content):
        if match[0] in (b"[", b"{"):
            depth += 1
            if depth > levels:
                return True
        elif match[0] in (b"]", b"}"):
            depth -= 1
    return False
