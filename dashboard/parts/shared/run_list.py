"""The runs as pages show them: newest first, with a short title each."""

from __future__ import annotations

import re
from collections.abc import Callable

import streamlit as st

from dashboard import state
from dashboard.parts.shared.run_states import look
from dashboard.parts.shared.text import cut, md
from workbench.i18n import _
from workbench.metrics.measures import SMALLER_IS_BETTER, scale_note
from workbench.runs.documents import Interval, Report, RunProgress, RunSummary
from workbench.runs.query import list_runs
from workbench.runs.run import Run
from workbench.tasks.base import tasks
from workbench.tuning.base import tunings
from workbench.workspace import Workspace

_ID = re.compile(r"\d{8}-\d{6}-(?P<title>.+)-(?P<end>[0-9a-f]{4})")
ACTIVE = ("queued", "running")


def newest_first() -> list[RunSummary]:
    """Return summaries of all runs, newest first."""
    return list_runs(Workspace.current())


def show_strangers() -> None:
    """Name what is in the folder of the runs and is no run, such as a folder that was copied in a file manager."""
    names = Run.strangers(Workspace.current())
    if names:
        shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        text = _(
            "Not a run, and left out: {names}. A run is a folder; its name has letters, digits, '.', '_' and '-' only."
        )
        st.warning(md(text.format(names=shown), 500), icon=":material/folder_off:")


def ids(runs: list[RunSummary], *states: str) -> list[str]:
    """Return the ids of runs.

    Args:
        runs: their summaries.
        states: only runs in one of these states; all runs if left out.
    """
    return [run.id for run in runs if not states or run.state in states]


def training_runs(runs: list[RunSummary]) -> list[RunSummary]:
    """Return the runs that train a model, without LR range tests.

    Args:
        runs: their summaries.
    """
    return [run for run in runs if run.is_training]


def last_comparable(runs: list[RunSummary]) -> list[str]:
    """Return the last two finished training runs of one task: what people most likely want to compare.

    Args:
        runs: summaries, newest first.
    """
    done = [run for run in training_runs(runs) if run.state == "succeeded"]
    return [run.id for run in done if run.task == done[0].task][:2]


def with_comparable(run_id: str) -> list[str]:
    """Return a run and the newest other finished training run of its task.

    Args:
        run_id: id of the run.
    """
    done = [run for run in same_task(newest_first(), run_id) if run.state == "succeeded"]
    return [run_id, *(run for run in ids(training_runs(done)) if run != run_id)][:2]


def explainable(run: RunSummary) -> bool:
    """Return whether Explain can open a run: a finished training run of a task with explanations.

    Args:
        run: its summary.
    """
    if run.state != "succeeded" or not training_runs([run]):
        return False
    name = run.task or ""
    return name not in tasks or tasks.get(name).target_kind is not None


def same_task(runs: list[RunSummary], run_id: str) -> list[RunSummary]:
    """Return the runs of the same task as one of them.

    Args:
        runs: their summaries.
        run_id: id of the run.
    """
    task = next((run.task for run in runs if run.id == run_id), None)
    return [run for run in runs if run.task == task]


def title(run_id: str) -> str:
    """Return a run's id without its time: ``minilm-rotten-tomatoes-lora (7f3a)``.

    Args:
        run_id: id of the run.
    """
    match = _ID.fullmatch(run_id)
    return cut(f"{match['title']} ({match['end']})" if match else run_id, 90)


def method_name(tuning: str | None) -> str:
    """Return a fine-tuning method in words: ``Full fine-tuning``; empty when it is not known.

    Args:
        tuning: its name in the registry.
    """
    if not tuning:
        return ""
    return _(tunings.label(tuning)).partition(":")[0] if tuning in tunings else tuning


def chooser_label(runs: list[RunSummary]) -> Callable[[str], str]:
    """Return a function that labels a run's id in a selectbox: the state's symbol and the title.

    Args:
        runs: their summaries.
    """
    symbols = {run.id: look(run.state).symbol for run in runs}
    return lambda run_id: f"{symbols.get(run_id, '?')} {title(run_id)}"


def key_metric(report: Report | None) -> tuple[str, Interval] | None:
    """Return the name of a run's primary metric and its value with interval; None before it has one.

    For an LR range test it is the suggested learning rate.

    Args:
        report: report of the run.
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


def metric_value(report: Report | None, metric: str | None) -> tuple[str, Interval] | None:
    """Return a metric or cost of a run by its name, in the form of :func:`key_metric`.

    Args:
        report: report of the run.
        metric: its name; None for the primary metric.
    """
    if metric is None:
        return key_metric(report)
    if report is None:
        return None
    if metric in report.metrics:
        return metric, report.metrics[metric]
    value = getattr(report.cost, metric, None)
    return (metric, Interval(value=float(value))) if isinstance(value, int | float) else None


def metric_name(name: str) -> str:
    """Return a metric's name with its scale, and a note if smaller is better.

    Args:
        name: such as ``macro_f1``.
    """
    text = _(name.replace("_", " ")) + scale_note(name)
    return _("{metric} (lower is better)").format(metric=text) if name in SMALLER_IS_BETTER else text


def share_done(progress: RunProgress | None) -> float | None:
    """Return how much of a run is done, 0 to 1; None while it is unknown.

    Args:
        progress: progress of the run's summary.
    """
    if progress is None or progress.step is None or progress.steps is None or progress.steps <= 0:
        return None
    return min(1.0, max(0.0, progress.step / progress.steps))


def show_empty(message: str) -> None:
    """Show why a page is empty, and a link to start a run.

    Args:
        message: translated.
    """
    st.info(message, icon=":material/inbox:")
    st.page_link(state.LAUNCH_PAGE, label=_("Start your first run"), icon=":material/rocket_launch:")
