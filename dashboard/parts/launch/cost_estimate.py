"""What a run will take, before it is started; and, when it has ended, how far that was off."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import streamlit as st

from dashboard.parts.shared.errors import show_error, show_errors
from dashboard.parts.shared.text import cut, duration, gigabytes, md, number
from workbench.jobs import estimate
from workbench.runs.documents import Estimate, Interval, Report
from workbench.spec import RunSpec
from workbench.workspace import Workspace

HELP = (
    "A few real steps of this very run are done on this machine, evaluation and saving are tried once, and the whole "
    "is reckoned from them. It takes up to a minute; nothing of it is kept but the figures."
)


def draw(spec: RunSpec | None, workspace: Workspace) -> None:
    """The estimate of ``spec``, the trial that makes it, or the button that starts one; None where it cannot be run."""
    st.subheader("Time and memory", help=HELP, anchor=False)
    if spec is None:
        st.caption("Mend what is wrong first.")
        return
    with show_errors("foresight_error"):
        measuring = estimate.status(spec, workspace, confined=True).state == "measuring"

        @st.fragment(run_every=1 if measuring else None)
        def live() -> None:
            trial = estimate.status(spec, workspace, confined=True)
            if (trial.state == "measuring") != measuring:
                st.rerun()
            _draw(trial, spec, workspace)

        live()


def _draw(trial: estimate.EstimateStatus, spec: RunSpec, workspace: Workspace) -> None:
    if trial.estimate is not None:
        show(trial.estimate)
    if trial.state == "measuring":
        now = trial.progress or {}
        done, total = now.get("done"), now.get("total")
        share = min(1.0, done / total) if isinstance(done, int) and isinstance(total, int) and total > 0 else 0.0
        st.progress(share, text=md(cut(str(now.get("phase") or "starting"), 60).capitalize()))
        if st.button("Stop measuring", key="foresight_stop", type="tertiary"):
            estimate.cancel(spec, workspace, confined=True)
        return
    if trial.error:
        show_error(trial.error, "foresight_failed")
    if trial.estimate is None:
        st.caption("Not measured yet for these settings.")
    label = "Estimate time and memory" if trial.estimate is None else "Measure again"
    if st.button(label, icon=":material/timer:", key="foresight_begin", help=HELP):
        estimate.start(spec, workspace, confined=True)
        st.rerun()


def show(found: Estimate) -> None:
    """An estimate: ranges first, then what they rest on."""
    trained, total = number(found.trained_parameters), number(found.total_parameters)
    lines = [
        ("Whole run", duration(found.total_seconds.value), span(found.total_seconds, duration)),
        ("Training alone", duration(found.seconds.value), span(found.seconds, duration)),
        ("Memory at most", gigabytes(found.peak_memory_bytes.value), span(found.peak_memory_bytes, gigabytes)),
        ("Trained parameters", trained, f"of {total}"),
    ]
    rows = "".join(f"| {md(what)} | {md(about)} | {md(range_)} |\n" for what, about, range_ in lines)
    st.markdown(f"| | About | Range |\n|:---|---:|---:|\n{rows}")
    st.caption(
        md(
            f"{number(found.steps)} steps of {duration_of_step(found.seconds_per_step)} and {found.evaluations} "
            f"evaluations of {duration(found.seconds_per_evaluation)}; from {found.measured_steps} steps on "
            f"{found.device}, {found.machine}.",
            300,
        )
    )
    for note in found.notes:
        st.caption(md(note, 300))
    there = psutil.virtual_memory().total
    if found.device == "cpu" and (found.peak_memory_bytes.high or 0) > 0.9 * there:
        st.warning(
            f"This machine has {gigabytes(there)} of memory: lower the batch size or the longest input.",
            icon=":material/memory:",
        )


def duration_of_step(seconds: float) -> str:
    """``0.54 s``, ``12 ms``."""
    return f"{seconds:.2g} s" if seconds >= 0.1 else f"{1000 * seconds:.2g} ms"


def span(figure: Interval, told: Callable[[float], str]) -> str:
    """``37 s to 2 min``."""
    return f"{told(figure.low)} to {told(figure.high)}"


def beside_truth(report: Report) -> str:
    """A sentence on what was expected of a finished run; empty where nothing was."""
    estimate, cost = report.estimate, report.cost
    if estimate is None or not cost.total_seconds or not cost.peak_memory_bytes:
        return ""
    time, memory = estimate.total_seconds, estimate.peak_memory_bytes
    return (
        f"Estimated before: {duration(time.value)} for the whole run, it took {duration(cost.total_seconds)} "
        f"({time.relative_error(cost.total_seconds):+.0%}); {gigabytes(memory.value)} of memory, it took "
        f"{gigabytes(cost.peak_memory_bytes)} ({memory.relative_error(cost.peak_memory_bytes):+.0%})."
    )
