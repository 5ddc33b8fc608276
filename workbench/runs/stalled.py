"""Runs that make no progress, or do not end although they were asked to.

A run that hangs in native code (a tokenizer, a template, a kernel) hears no request to stop, and may not even write its
heartbeat. It can only be ended by force.
"""

from __future__ import annotations

from datetime import UTC, datetime

from workbench.runs.documents import RunSummary

STALLED_SECONDS = 600.0  # without progress, after which a run is pointed out
FORCE_AFTER_SECONDS = 30.0  # after a request to stop, from which on pages offer to end a run by force


def seconds_without_progress(summary: RunSummary) -> float | None:
    """Return for how long a running run has made no progress; None if it made some in the last ten minutes.

    Args:
        summary: of the run.
    """
    seconds = _seconds_since(summary.moved) if summary.state == "running" else None
    return seconds if seconds is not None and seconds >= STALLED_SECONDS else None


def seconds_since_stop(summary: RunSummary) -> float | None:
    """Return how long ago a running run was asked to stop; None if it was not.

    Args:
        summary: of the run.
    """
    return _seconds_since(summary.stop_requested_at) if summary.state == "running" else None


def may_be_forced(summary: RunSummary) -> bool:
    """Return whether a run was asked to stop long enough ago to end it by force.

    Args:
        summary: of the run.
    """
    seconds = seconds_since_stop(summary)
    return seconds is not None and seconds >= FORCE_AFTER_SECONDS


def _seconds_since(moment: str | None) -> float | None:
    try:
        begin = datetime.fromisoformat(moment or "")
    except ValueError:
        return None
    begin = begin if begin.tzinfo else begin.replace(tzinfo=UTC)
    return max(0.0, (datetime.now(UTC) - begin).total_seconds())
