"""What a run will cost, before it is started; and, when it has finished, how good the estimate was."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.parts.shared.errors import show_error, show_errors
from dashboard.parts.shared.text import cut, duration, gigabytes, md, number
from workbench import notes
from workbench.i18n import _
from workbench.jobs import estimate
from workbench.runs.documents import Estimate, Interval, Report
from workbench.spec import RunSpec
from workbench.system.cgroups import memory_of
from workbench.workspace import Workspace


def _help() -> str:
    return _(
        "Runs a few real training steps here, one evaluation and one checkpoint, and extrapolates. Takes up to a "
        "minute; only the estimate is kept."
    )


def draw(spec: RunSpec | None, workspace: Workspace) -> None:
    """Draw the estimate of a run, its profiling run, or the button that starts one.

    Args:
        spec: spec of the run; None if it cannot run.
        workspace: where estimates are kept.
    """
    st.subheader(_("Time and memory"), help=_help(), anchor=False)
    if spec is None:
        st.caption(_("Fix the problems above first."))
        return
    with show_errors("estimate_error"):
        measuring = estimate.status(spec, workspace, confined=True).state == "measuring"

        @st.fragment(run_every=1 if measuring else None)
        def live() -> None:
            status = estimate.status(spec, workspace, confined=True)
            if (status.state == "measuring") != measuring:
                st.rerun()
            _draw(status, spec, workspace)

        live()


def _draw(status: estimate.EstimateStatus, spec: RunSpec, workspace: Workspace) -> None:
    if status.estimate is not None:
        show(status.estimate)
    if status.state == "measuring":
        progress = status.progress or {}
        done, total = progress.get("done"), progress.get("total")
        share = min(1.0, done / total) if isinstance(done, int) and isinstance(total, int) and total > 0 else 0.0
        phase = _(str(progress.get("phase") or "starting"))
        st.progress(share, text=md(cut(phase, 60).capitalize()))
        if st.button(_("Stop measuring"), key="foresight_stop", type="tertiary"):
            estimate.cancel(spec, workspace, confined=True)
        return
    if status.error:
        show_error(status.error, "estimate_failed")
    if status.estimate is None:
        st.caption(_("Not measured yet for these settings."))
    label = _("Estimate time and memory") if status.estimate is None else _("Measure again")
    if st.button(label, icon=":material/timer:", key="foresight_begin", help=_help()):
        estimate.start(spec, workspace, confined=True)
        st.rerun()


def show(result: Estimate) -> None:
    """Show an estimate: the ranges first, then how it was measured.

    Args:
        result: the estimate.
    """
    total = _("of {n}").format(n=number(result.total_parameters))
    memory = result.peak_memory_bytes
    lines = [
        (_("Whole run"), duration(result.total_seconds.value), span(result.total_seconds, duration)),
        (_("Training only"), duration(result.seconds.value), span(result.seconds, duration)),
        (_("Peak memory"), gigabytes(memory.value), span(memory, gigabytes)),
        (_("Trained parameters"), number(result.trained_parameters), total),
    ]
    rows = "".join(f"| {md(name)} | {md(about)} | {md(range_)} |\n" for name, about, range_ in lines)
    st.markdown(f"| | {_('About')} | {_('Range')} |\n|:---|---:|---:|\n{rows}")
    text = _(
        "{steps} steps of {step} and {evaluations} evaluations of {evaluation}; measured over {n} steps on {device}, "
        "{machine}."
    ).format(
        steps=number(result.steps),
        step=duration_of_step(result.seconds_per_step),
        evaluations=result.evaluations,
        evaluation=duration(result.seconds_per_evaluation),
        n=result.measured_steps,
        device=result.device,
        machine=result.machine,
    )
    st.caption(md(text, 300))
    for note in result.notes:
        st.caption(md(notes.translate(note), 300))
    available = memory_of().total_bytes
    if result.device == "cpu" and (memory.high or 0) > 0.9 * available:
        st.warning(
            _("This machine has {size} of memory. Lower the batch size or the maximum length.").format(
                size=gigabytes(available)
            ),
            icon=":material/memory:",
        )


def duration_of_step(seconds: float) -> str:
    """Return a short duration: ``0.54 s``, ``12 ms``.

    Args:
        seconds: the duration in seconds.
    """
    return f"{seconds:.2g} s" if seconds >= 0.1 else f"{1000 * seconds:.2g} ms"


def span(value: Interval, format: Callable[[float | None], str]) -> str:
    """Return a range in words: ``37 s to 2 min``.

    Args:
        value: with its range.
        format: formats one end.
    """
    return _("{low} to {high}").format(low=format(value.low), high=format(value.high))


def compare_with_actual(report: Report) -> str:
    """Return a sentence on how good the estimate of a finished run was; empty if there was none.

    Args:
        report: report of the run.
    """
    estimate, cost = report.estimate, report.cost
    if estimate is None or not cost.total_seconds or not cost.peak_memory_bytes:
        return ""
    time, memory = estimate.total_seconds, estimate.peak_memory_bytes
    return _(
        "Estimated time: {time}; actual: {actual_time} ({time_error}). Estimated memory: {memory}; actual: "
        "{actual_memory} ({memory_error})."
    ).format(
        time=duration(time.value),
        actual_time=duration(cost.total_seconds),
        time_error=f"{time.relative_error(cost.total_seconds):+.0%}",
        memory=gigabytes(memory.value),
        actual_memory=gigabytes(cost.peak_memory_bytes),
        memory_error=f"{memory.relative_error(cost.peak_memory_bytes):+.0%}",
    )
