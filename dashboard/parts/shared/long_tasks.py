"""Work that takes a while: it starts on a click, says about how long it takes, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable

import streamlit as st

from dashboard.parts.shared.text import duration


def start_button(label: str, key: str, seconds: float | None = None, help: str | None = None) -> bool:
    """A button that says how long what it starts takes; True on the run of the page in which it was clicked."""
    takes = f" (about {duration(seconds)})" if seconds is not None and seconds >= 1 else ""
    return st.button(f"{label}{takes}", icon=":material/play_arrow:", key=key, help=help)


def progress_bar(what: str) -> Callable[[int, int], None]:
    """A bar, to be told how many of how many are done; it says how much time is left, and goes when all is done."""
    bar, began = st.progress(0.0, text=f"{what} ..."), time.monotonic()

    def tell(done: int, total: int) -> None:
        left = (time.monotonic() - began) / max(done, 1) * (total - done)
        words = f"{what}: {done} of {total}, about {duration(left)} left"
        bar.progress(min(1.0, done / max(total, 1)), text=words)
        if done >= total:
            bar.empty()

    return tell
