"""What the page of a run shows without scrolling: the verdict or the progress, and one large curve."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.run import verdict
from dashboard.parts.runs import detail, watch
from dashboard.parts.shared import run_list, stalled
from dashboard.parts.shared.errors import show_error, show_errors
from dashboard.parts.shared.progress import show_progress
from workbench.i18n import _
from workbench.runs.documents import RunSummary
from workbench.runs.query import latest_metrics
from workbench.runs.run import Run


def draw(run: Run, summary: RunSummary) -> None:
    """Draw the first screen, and redraw only this every two seconds while the run is active.

    Args:
        run: the run.
        summary: its summary.
    """
    active = summary.state in run_list.ACTIVE
    if summary.is_training:
        watch.read_url()

    @st.fragment(run_every=2 if active else None)
    def live() -> None:
        latest = run.summary(with_spec=False) if active else summary
        if latest.state != summary.state:
            st.rerun()  # the buttons and the verdict change with the state
        with st.container(key="run_first_screen"):
            left, right = st.columns([5, 6], gap="medium")
            with left, show_errors("verdict_error"):
                _draw_state(run, latest)
            with right, show_errors("curve_error"):
                if latest.is_training:
                    watch.draw_main_curve(run)
                else:
                    watch.draw_range_test(run, latest.report)

    live()


def _draw_state(run: Run, summary: RunSummary) -> None:
    if summary.state in run_list.ACTIVE:
        show_progress(summary)
        stalled.draw(summary)
        _draw_latest(run)
    elif summary.report and summary.report.range_test:
        detail.show_range_test(summary.report)
    elif summary.report:
        verdict.draw(summary.report, run.status().task)
    if summary.error:
        show_error(summary.error, "run_error")


def _draw_latest(run: Run) -> None:
    """Draw the last values of the metrics that people look at first."""
    values = latest_metrics(run)
    shown = [name for name in ("eval/accuracy", "eval/macro_f1", "eval/loss", "train/loss") if name in values][:3]
    for column, name in zip(st.columns(len(shown)) if shown else (), shown, strict=True):
        value = values[name]
        if isinstance(value, int | float):
            column.metric(watch.metric_title(name), f"{value:.3f}")
    if not shown:
        st.caption(_("No metrics yet. They appear after the first training steps."))
