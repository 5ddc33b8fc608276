"""A time limit for Python code of strangers, such as the loops of a template, inside the thread that runs it."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator


class OutOfTime(BaseException):
    """The time is up. It is no ``Exception``, so that the code that is stopped does not catch it."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise :class:`OutOfTime` inside the block when its time is up.

    Only Python code is interrupted, between two of its instructions. For native code, which may hold Python's lock, use
    :mod:`workbench.system.limited_process`.

    Args:
        seconds: how long the block may take.
    """
    thread = ctypes.c_ulong(threading.get_ident())
    lock = threading.Lock()
    is_done = False

    def interrupt() -> None:
        with lock:
            if not is_done:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(OutOfTime))

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            is_done = True
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, None)  # what came too late
        timer.cancel()
