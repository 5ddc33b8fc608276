"""The callback that reports the progress of a download, or of reading a large file."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Called with a label, the bytes (or characters of a text) done, and their total (None if unknown)."""


def silent(label: str, done: int, total: int | None) -> None:
    """Ignore progress.

    Args:
        label: what is being downloaded or read.
        done: bytes so far.
        total: bytes in total; None if unknown.
    """
