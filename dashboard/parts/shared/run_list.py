"""The runs as a page shows them: read once per look at the folders, newest first, with a short title each."""

from __future__ import annotations

import re
from typing import Any

import streamlit as st

from dashboard.parts.shared.run_states import look
from dashboard.parts.shared.text import cut
from workbench.metrics.measures import SMALLER_IS_BETTER, scale_note
from workbench.runs.query import list_runs
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

_ID = re.compile(r"\d{8}-\d{6}-(?P<title>.+)-(?P<end>[0-9a-f]{4})")
ACTIVE = ("queued", "running")


def newest_first() -> list[dict[str, Any]]:
    """Summaries of all runs, newest first."""
    return list_runs(Workspace.current())


def ids(runs: list[dict[str, Any]], *states: str) -> list[str]:
    """The ids of the runs in one of these states (in any, when none is named)."""
    return [run["id"] for run in runs if not states or run["state"] in states]


def trainings(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that give a model: without range tests."""
    return [run for run in runs if (run.get("kind") or "training") == "training"]


def last_alike(runs: list[dict[str, Any]]) -> list[str]:
    """The last two finished trainings of one task: what one most likely wants to compare."""
    done = [run for run in trainings(runs) if run["state"] == "succeeded"]
    return [run["id"] for run in done if run.get("task") == done[0].get("task")][:2]


def with_one_alike(run_id: str) -> list[str]:
    """A run, and the newest other finished training of its task: what it can be compared with at once."""
    done = [run for run in of_the_task(newest_first(), run_id) if run["state"] == "succeeded"]
    return [run_id, *(run for run in ids(trainings(done)) if run != run_id)][:2]


def explainable(run: dict[str, Any]) -> bool:
    """Whether Explain can look into a run: it is a finished training of a task that says what is explained."""
    if run["state"] != "succeeded" or not trainings([run]):
        return False
    name = run.get("task")
    return name not in tasks or tasks.get(name).target_kind is not None


def of_the_task(runs: list[dict[str, Any]], run_id: str) -> list[dict[str, Any]]:
    """Those that learned the same as the run with this id."""
    task = next((run.get("task") for run in runs if run["id"] == run_id), None)
    return [run for run in runs if run.get("task") == task]


def title(run_id: str) -> str:
    """A run's id without its time: ``minilm-rotten-tomatoes-lora (7f3a)``."""
    found = _ID.fullmatch(run_id)
    return cut(f"{found['title']} ({found['end']})" if found else run_id, 90)


def chooser_label(runs: list[dict[str, Any]]) -> Any:
    """Formats run ids for a selectbox: state's symbol and title."""
    symbols = {run["id"]: look(run["state"]).symbol for run in runs}
    return lambda run_id: f"{symbols.get(run_id, '?')} {title(run_id)}"


def key_metric(report: dict[str, Any] | None) -> tuple[str, dict[str, float | None]] | None:
    """The metric that a run is judged by, and its value with interval; None before it has one.

    Of a range test it is the learning rate that it suggests.
    """
    test = (report or {}).get("range_test")
    if isinstance(test, dict):
        rate = test.get("suggestion")
        return None if rate is None else ("suggested learning rate", {"value": rate, "low": None, "high": None})
    metrics = (report or {}).get("metrics")
    if not isinstance(metrics, dict) or not metrics:
        return None
    name = (report or {}).get("primary_metric")
    name = name if name in metrics else next(iter(metrics))
    return (name, metrics[name]) if isinstance(metrics[name], dict) else None


def figure(report: dict[str, Any] | None, metric: str | None) -> tuple[str, dict[str, float | None]] | None:
    """A metric or cost of a run by its name, as :func:`key_metric` gives the one that it is judged by (None)."""
    if metric is None:
        return key_metric(report)
    for part in ("metrics", "cost"):
        found = ((report or {}).get(part) or {}).get(metric)
        if isinstance(found, dict):
            return metric, found
        if isinstance(found, int | float):
            return metric, {"value": float(found), "low": None, "high": None}
    return None


def metric_name(name: str) -> str:
    """A metric as people read it; which way is better is said where smaller is, and a scale that may surprise."""
    return name.replace("_", " ") + scale_note(name) + (" (lower is better)" if name in SMALLER_IS_BETTER else "")


def share_done(progress: dict[str, Any] | None) -> float | None:
    """How much of a run is done, 0 to 1; None when nobody knows yet."""
    step, steps = (progress or {}).get("step"), (progress or {}).get("steps")
    if not isinstance(step, int | float) or not isinstance(steps, int | float) or steps <= 0:
        return None
    return min(1.0, max(0.0, step / steps))


def nothing_yet(what: str = "There are no runs yet.") -> None:
    """What an empty page says: why it is empty, and the way out."""
    from dashboard import state

    st.info(what, icon=":material/inbox:")
    st.page_link(state.LAUNCH_PAGE, label="Launch the first run", icon=":material/rocket_launch:")
