"""One run in full: progress, curves, log, what was learned from which data, and what can be done with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboard import state
from dashboard.parts.launch import cost_estimate
from dashboard.parts.runs import lr_range_test, samples, watch
from dashboard.parts.shared import run_list
from dashboard.parts.shared.errors import show_error, show_errors
from dashboard.parts.shared.glossary import WORDS, help_for
from dashboard.parts.shared.progress import show_progress
from dashboard.parts.shared.run_states import badge
from dashboard.parts.shared.text import ago, cut, duration, gigabytes, md, number
from workbench import jobs
from workbench.files import read_json
from workbench.runs.documents import Interval, Report, RunSummary
from workbench.runs.run import RESUMABLE, Run
from workbench.workspace import Workspace


def header(run: Run, summary: RunSummary) -> None:
    """Name, state, age, and the buttons for what can be done now."""
    st.subheader(md(run_list.title(run.id)), anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", key="run_header"):
        badge(summary.state)
        st.caption(md(f"{ago(summary.created)} · {run.id}"))
    with st.container(horizontal=True, key="run_actions"):
        actions(run, summary)


def actions(run: Run, summary: RunSummary) -> None:
    """Stop, resume, delete, and the way to the pages that read a finished run."""
    now = summary.state
    if run_list.explainable(summary.model_copy(update={"task": run.status().task})) and st.button(
        "Explain", icon=":material/search_insights:", type="primary", key="run.explain"
    ):
        st.switch_page(state.EXPLAIN_PAGE, query_params={state.RUN.param: run.id})
    is_training = summary.is_training
    if now == "succeeded" and is_training and st.button("Compare", icon=":material/compare_arrows:", key="run.compare"):
        st.switch_page(
            state.COMPARE_PAGE, query_params={state.Compare.RUNS.param: ",".join(run_list.with_one_alike(run.id))}
        )
    lr_range_test.train_button(run, summary.report.range_test if summary.report else None)
    if st.button(
        "New run from this", icon=":material/content_copy:", key="run.again", help="Launch, with this run's settings."
    ):
        st.session_state.pop(state.Launch.FROM.key, None)  # asked for once more, the form is filled once more
        st.switch_page(state.LAUNCH_PAGE, query_params={state.Launch.FROM.param: run.id})
    if now in run_list.ACTIVE and st.button(
        "Stop", icon=":material/stop:", key="run.stop", help="A checkpoint is written first; the run can be resumed."
    ):
        jobs.stop(run)
        st.toast("The run was asked to stop. It writes a checkpoint first.")
    if now in RESUMABLE and st.button(
        "Resume", icon=":material/resume:", type="primary", key="run.resume", help="Goes on from the last checkpoint."
    ):
        jobs.resume(run, Workspace.current())
        st.rerun()
    if now != "running":
        with st.popover("Delete", icon=":material/delete:", key="run.delete"):
            st.markdown("The run's folder goes, with its model and predictions. It cannot be brought back.")
            if st.button("Delete for good", key="run.delete.yes"):
                run.delete()
                st.session_state.pop(state.RUN.key, None)
                state.to_url(state.RUN, "")
                st.rerun()


def live(run: Run, summary: RunSummary) -> None:
    """Progress, alerts, curves and log; drawn again every two seconds while the run is active, and nothing else is."""
    active = summary.state in run_list.ACTIVE
    if summary.is_training:
        watch.controls()

    @st.fragment(run_every=2 if active else None)
    def draw() -> None:
        now = run.summary(with_spec=False) if active else summary
        if now.state != summary.state:
            st.rerun()  # the buttons and the report change with the state
        tick(run, now)

    draw()


def tick(run: Run, now: RunSummary) -> None:
    """One drawing of what moves while a run is at work: what it costs does not grow with what the run has written.

    Args:
        run: which.
        now: its summary.
    """
    with show_errors("live_error"):
        if now.state in run_list.ACTIVE:
            show_progress(now)
        if now.is_training:
            watch.show_alerts(run)
            watch.draw_curves(run)
        else:
            watch.draw_range_test(run, now.report)
        samples.draw_samples(run)
        samples.draw_confusion(run)
        watch.draw_usage(run)
        watch.draw_log(run)


def results(summary: RunSummary) -> None:
    """Final figures with intervals, and what they cost."""
    if summary.error:
        show_error(summary.error, "run_error")
    report, cost = summary.report, summary.cost
    if report is None:
        return
    if report.range_test:
        lr_range_test.show_finding(report.range_test)
    if report.metrics:
        _figures(report)
    words = [
        f"{duration(cost.seconds)} of training",
        f"{number(cost.trained_parameters)} of {number(cost.total_parameters)} parameters trained",
        f"{gigabytes(cost.peak_memory_bytes)} of memory at most" if cost.peak_memory_bytes else "",
        f"{number(round(cost.tokens_per_second))} tokens a second" if cost.tokens_per_second else "",
        f"{cost.mfu:.1%} of the device's peak" if cost.mfu is not None else "",
    ]
    st.caption(md(" · ".join(word for word in words if word)), help=WORDS["trained parameters"])
    if report.baseline_name:
        st.caption(md(f"Baseline: {report.baseline_name}.", 500), help=WORDS["baseline"])
    for note in [cost_estimate.beside_truth(report), *report.notes]:
        if note:
            st.caption(md(str(note), 500))


def _figures(report: Report) -> None:
    metrics = report.metrics
    part = "validation" if report.evaluated_on == "valid" else "test"
    words = ["interval", *(name for name in ("loss", "perplexity") if name in metrics)]
    st.subheader(f"Result on the {part} examples", help=help_for(*words), anchor=False)
    ends = ("value", "low", "high")
    columns = {end.capitalize(): _numbers(getattr(metric, end) for metric in metrics.values()) for end in ends}
    columns["Baseline"] = _numbers(report.baseline.get(name) for name in metrics)
    if report.gain:  # over the baseline, from example to example
        gains = [report.gain.get(name, Interval()) for name in metrics]
        heads = {"Better by": "value", "At least": "low", "At most": "high"}
        columns |= {head: _numbers(getattr(gain, end) for gain in gains) for head, end in heads.items()}
    large = any(abs(number) >= 100 for column in columns.values() for number in column)
    st.dataframe(
        {"Metric": [cut(run_list.metric_name(name), 60) for name in metrics], **columns},
        hide_index=True,
        width="content",
        column_config=dict.fromkeys(columns, st.column_config.NumberColumn(format="%.4g" if large else "%.3f")),
        key="run.result",
    )
    names = "Low and high, at least and at most" if report.gain else "Low and high"
    st.caption(f"{names}: the ends of a 95% interval.")


def _numbers(values: Iterable[object]) -> NDArray[np.float64]:
    """As a column of numbers, which stand at the right; NaN, shown as nothing, for what is none."""
    return np.array([value if isinstance(value, int | float) else np.nan for value in values], dtype=np.float64)


@st.fragment
def documents(run: Run) -> None:
    """The report on the data, and the spec, folded away; each is read when it is unfolded."""
    found = read_json(run.folder / "data.json")
    if isinstance(found, dict):
        heading = "Data: rows, labels, lengths, what was left out"
        with st.expander(heading, icon=":material/table:", key="run.data", on_change="rerun") as unfolded:
            if unfolded.open:
                st.code(_readable(found), language="yaml", height=320)
    heading = "Settings of this run (YAML)"
    with st.expander(heading, icon=":material/settings:", key="run.spec", on_change="rerun") as unfolded:
        if unfolded.open:
            st.code(_spec_text(run) or "The file spec.yaml is missing.", language="yaml", height=320)


def _spec_text(run: Run) -> str:
    try:
        return (run.folder / "spec.yaml").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _readable(value: Any) -> str:
    import yaml

    return cut_lines(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100))


def cut_lines(text: str, lines: int = 400) -> str:
    """At most so many lines, each of at most 300 characters."""
    kept = text.splitlines()
    more = [f"... {len(kept) - lines} more lines"] if len(kept) > lines else []
    return "\n".join([cut(line, 300) if len(line) > 300 else line for line in kept[:lines]] + more)
