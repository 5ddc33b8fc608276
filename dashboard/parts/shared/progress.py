"""How far a run is, in a bar and in words."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.parts.shared.run_list import share_done
from dashboard.parts.shared.text import cut, duration, md


def in_words(run: dict[str, Any]) -> str:
    """``step 40 of 126, about 2 min left``; what the run is doing when it does not count steps yet."""
    progress = run.get("progress") or {}
    parts = []
    if run["state"] == "queued":
        parts.append("waits for its turn")
    elif isinstance(progress.get("step"), int) and isinstance(progress.get("steps"), int):
        parts.append(f"step {progress['step']:,} of {progress['steps']:,}")
    if run["state"] == "running":
        if progress.get("phase") and progress["phase"] != "training":
            parts.append(cut(progress["phase"], 60))
        left = progress.get("seconds_left")
        if isinstance(left, int | float):
            parts.append(f"about {duration(left)} left")
        if not parts:
            parts.append("is starting")
    return ", ".join(parts)


def time_left(run: dict[str, Any]) -> str:
    """``2 min``; empty when the run is not running or nobody knows."""
    left = (run.get("progress") or {}).get("seconds_left")
    return duration(left) if run["state"] == "running" and isinstance(left, int | float) else ""


def show_progress(run: dict[str, Any]) -> None:
    """A bar with words on it; words alone while there is nothing to measure."""
    done = share_done(run.get("progress"))
    if run["state"] == "running" and done is not None:
        st.progress(done, text=md(in_words(run)))
    elif in_words(run):
        st.caption(md(in_words(run)))
