"""The callback that reports the progress of a download."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Called with a label, the bytes done, and the total in bytes (None if unknown)."""


def silent(label: str, done: int, total: int | None) -> None:
    """Ignore progress.

    Args:
        label: what is being downloaded.
        done: bytes so far.
        total: bytes in total; None if unknown.
    """
