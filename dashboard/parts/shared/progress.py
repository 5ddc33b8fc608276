"""The progress of a run, as a bar and in words."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.shared.run_list import share_done
from dashboard.parts.shared.text import cut, duration, md
from workbench.i18n import _
from workbench.runs.documents import RunProgress, RunSummary


def in_words(run: RunSummary) -> str:
    """Return ``step 40 of 126, about 2 min left``, or what the run does before it counts steps.

    Args:
        run: its summary.
    """
    progress = run.progress or RunProgress()
    parts = []
    if run.state == "queued":
        parts.append(_("waiting for its turn"))
    elif progress.step is not None and progress.steps is not None:
        parts.append(_("step {n} of {total}").format(n=f"{progress.step:,}", total=f"{progress.steps:,}"))
    if run.state == "running":
        if progress.phase and progress.phase != "training":
            parts.append(cut(_(progress.phase), 60))
        if progress.seconds_left is not None:
            parts.append(_("about {duration} left").format(duration=duration(progress.seconds_left)))
        if not parts:
            parts.append(_("starting"))
    return ", ".join(parts)


def time_left(run: RunSummary) -> str:
    """Return ``2 min``; empty when the run is not running or the time is unknown.

    Args:
        run: its summary.
    """
    return duration(run.progress.seconds_left) if run.state == "running" and run.progress else ""


def show_progress(run: RunSummary) -> None:
    """Show a bar with words on it; only words while there is nothing to measure.

    Args:
        run: its summary.
    """
    done = share_done(run.progress)
    if run.state == "running" and done is not None:
        st.progress(done, text=md(in_words(run)))
    elif in_words(run):
        st.caption(md(in_words(run)))
