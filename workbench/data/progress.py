"""How a download tells how far it has come."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Called with a label, the bytes done, and the bytes in all (None where that is not known)."""


def silent(label: str, done: int, total: int | None) -> None:
    """A Progress for nobody."""
