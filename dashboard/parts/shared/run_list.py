"""The runs as a page shows them: read once per look at the folders, newest first, with a short title each."""

from __future__ import annotations

import re
from typing import Any

import streamlit as st

from dashboard.parts.shared.run_states import look
from dashboard.parts.shared.text import cut
from workbench.metrics.measures import SMALLER_IS_BETTER, scale_note
from workbench.runs.documents import Interval, Report, RunProgress, RunSummary
from workbench.runs.query import list_runs
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

_ID = re.compile(r"\d{8}-\d{6}-(?P<title>.+)-(?P<end>[0-9a-f]{4})")
ACTIVE = ("queued", "running")


def newest_first() -> list[RunSummary]:
    """Summaries of all runs, newest first."""
    return list_runs(Workspace.current())


def ids(runs: list[RunSummary], *states: str) -> list[str]:
    """The ids of the runs in one of these states (in any, when none is named)."""
    return [run.id for run in runs if not states or run.state in states]


def trainings(runs: list[RunSummary]) -> list[RunSummary]:
    """Those that give a model: without range tests."""
    return [run for run in runs if run.is_training]


def last_alike(runs: list[RunSummary]) -> list[str]:
    """The last two finished trainings of one task: what one most likely wants to compare."""
    done = [run for run in trainings(runs) if run.state == "succeeded"]
    return [run.id for run in done if run.task == done[0].task][:2]


def with_one_alike(run_id: str) -> list[str]:
    """A run, and the newest other finished training of its task: what it can be compared with at once."""
    done = [run for run in of_the_task(newest_first(), run_id) if run.state == "succeeded"]
    return [run_id, *(run for run in ids(trainings(done)) if run != run_id)][:2]


def explainable(run: RunSummary) -> bool:
    """Whether Explain can look into a run: it is a finished training of a task that says what is explained."""
    if run.state != "succeeded" or not trainings([run]):
        return False
    name = run.task
    return name not in tasks or tasks.get(name).target_kind is not None


def of_the_task(runs: list[RunSummary], run_id: str) -> list[RunSummary]:
    """Those that learned the same as the run with this id."""
    task = next((run.task for run in runs if run.id == run_id), None)
    return [run for run in runs if run.task == task]


def title(run_id: str) -> str:
    """A run's id without its time: ``minilm-rotten-tomatoes-lora (7f3a)``."""
    found = _ID.fullmatch(run_id)
    return cut(f"{found['title']} ({found['end']})" if found else run_id, 90)


def chooser_label(runs: list[RunSummary]) -> Any:
    """Formats run ids for a selectbox: state's symbol and title."""
    symbols = {run.id: look(run.state).symbol for run in runs}
    return lambda run_id: f"{symbols.get(run_id, '?')} {title(run_id)}"


def key_metric(report: Report | None) -> tuple[str, Interval] | None:
    """The metric that a run is judged by, and its value with interval; None before it has one.

    Of a range test it is the learning rate that it suggests.
    """
    if report is None:
        return None
    if report.range_test:
        rate = report.range_test.suggestion
        return None if rate is None else ("suggested learning rate", Interval(value=rate))
    if not report.metrics:
        return None
    name = report.primary_metric if report.primary_metric in report.metrics else next(iter(report.metrics))
    return name, report.metrics[name]


def figure(report: Report | None, metric: str | None) -> tuple[str, Interval] | None:
    """A metric or cost of a run by its name, as :func:`key_metric` gives the one that it is judged by (None)."""
    if metric is None:
        return key_metric(report)
    if report is None:
        return None
    if metric in report.metrics:
        return metric, report.metrics[metric]
    spent = getattr(report.cost, metric, None)
    return (metric, Interval(value=spent)) if isinstance(spent, int | float) else None


def metric_name(name: str) -> str:
    """A metric as people read it; which way is better is said where smaller is, and a scale that may surprise."""
    return name.replace("_", " ") + scale_note(name) + (" (lower is better)" if name in SMALLER_IS_BETTER else "")


def share_done(progress: RunProgress | None) -> float | None:
    """How much of a run is done, 0 to 1; None when nobody knows yet."""
    if progress is None or progress.step is None or progress.steps is None or progress.steps <= 0:
        return None
    return min(1.0, max(0.0, progress.step / progress.steps))


def nothing_yet(what: str = "There are no runs yet.") -> None:
    """What an empty page says: why it is empty, and the way out."""
    from dashboard import state

    st.info(what, icon=":material/inbox:")
    st.page_link(state.LAUNCH_PAGE, label="Launch the first run", icon=":material/rocket_launch:")
