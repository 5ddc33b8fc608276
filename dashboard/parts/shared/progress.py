"""How far a run is, in a bar and in words."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.shared.run_list import share_done
from dashboard.parts.shared.text import cut, duration, md
from workbench.runs.documents import RunProgress, RunSummary


def in_words(run: RunSummary) -> str:
    """``step 40 of 126, about 2 min left``; what the run is doing when it does not count steps yet."""
    progress = run.progress or RunProgress()
    parts = []
    if run.state == "queued":
        parts.append("waits for its turn")
    elif progress.step is not None and progress.steps is not None:
        parts.append(f"step {progress.step:,} of {progress.steps:,}")
    if run.state == "running":
        if progress.phase and progress.phase != "training":
            parts.append(cut(progress.phase, 60))
        if progress.seconds_left is not None:
            parts.append(f"about {duration(progress.seconds_left)} left")
        if not parts:
            parts.append("is starting")
    return ", ".join(parts)


def time_left(run: RunSummary) -> str:
    """``2 min``; empty when the run is not running or nobody knows."""
    return duration(run.progress.seconds_left) if run.state == "running" and run.progress else ""


def show_progress(run: RunSummary) -> None:
    """A bar with words on it; words alone while there is nothing to measure."""
    done = share_done(run.progress)
    if run.state == "running" and done is not None:
        st.progress(done, text=md(in_words(run)))
    elif in_words(run):
        st.caption(md(in_words(run)))
