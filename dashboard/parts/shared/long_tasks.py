"""Work that takes a while: it starts on a click, shows about how long it takes, and then its progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from dashboard.parts.shared.text import cut, duration, md
from workbench.data.progress import Progress
from workbench.i18n import _

_REDRAW_SECONDS = 0.25


def start_button(label: str, key: str, seconds: float | None = None, help: str | None = None) -> bool:
    """Show a button with the time that its work takes.

    Args:
        label: translated.
        key: key of the button.
        seconds: the estimated time; None when it is unknown.
        help: tooltip, translated.

    Returns:
        True on the run of the page in which it was clicked.
    """
    if seconds is not None and seconds >= 1:
        label = _("{label} (about {duration})").format(label=label, duration=duration(seconds))
    return st.button(label, icon=":material/play_arrow:", key=key, help=help)


def progress_bar(label: str) -> Callable[[int, int], None]:
    """Show a progress bar with the time that is left; it disappears at the end.

    Args:
        label: what is being done, translated.

    Returns:
        A function to call with the number of items done and their total.
    """
    bar, started = st.progress(0.0, text=f"{label} ..."), time.monotonic()

    def update(done: int, total: int) -> None:
        left = (time.monotonic() - started) / max(done, 1) * (total - done)
        text = _("{label}: {done} of {total}, about {duration} left")
        bar.progress(
            min(1.0, done / max(total, 1)),
            text=text.format(label=label, done=done, total=total, duration=duration(left)),
        )
        if done >= total:
            bar.empty()

    return update


@contextmanager
def reading(label: str) -> Iterator[Progress]:
    """Show that something is read or downloaded, and a bar with the time left once it says how far it is.

    Both disappear at the end.

    Args:
        label: what is being done, translated.

    Returns:
        A function to call with a label in English, the bytes done, and their total.
    """
    bar = st.empty()
    current, before, started, drawn = "", 0, time.monotonic(), 0.0

    def update(name: str, done: int, total: int | None) -> None:
        nonlocal current, before, started, drawn
        now = time.monotonic()
        if name != current or done < before:  # some files are read more than once
            current, started, drawn = name, now, 0.0
        before = done
        if not total or now - drawn < _REDRAW_SECONDS:
            return
        drawn, share = now, min(1.0, done / total)
        text = cut(_(name), 80)
        if 0 < share < 1:
            left = duration((now - started) / share * (1 - share))
            text = _("{label}: {share}, about {duration} left").format(label=text, share=f"{share:.0%}", duration=left)
        bar.progress(share, text=md(text))

    with st.spinner(label):
        yield update
    bar.empty()
