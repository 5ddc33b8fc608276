"""One run in full: progress, curves, log, results, data and settings, and what can be done with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import streamlit as st

from dashboard import state
from dashboard.parts.launch import cost_estimate
from dashboard.parts.runs import lr_range_test, samples, watch
from dashboard.parts.shared import notes, run_list
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import cut, duration, gigabytes, md, number
from workbench import jobs
from workbench.files import read_json
from workbench.i18n import _, ngettext
from workbench.runs.documents import Interval, Report, RunSummary
from workbench.runs.run import RESUMABLE, Run
from workbench.system.opening import read_limited
from workbench.types import Floats
from workbench.workspace import Workspace


def actions(run: Run, summary: RunSummary) -> None:
    """Draw the buttons: stop, resume, delete, and links to the pages that use a finished run.

    Args:
        run: the run.
        summary: summary of the run.
    """
    run_state = summary.state
    if run_list.explainable(summary.model_copy(update={"task": run.status().task})) and st.button(
        _("Explain"), icon=":material/search_insights:", type="primary", key="run.explain"
    ):
        st.switch_page(state.EXPLAIN_PAGE, query_params={state.RUN.param: run.id})
    is_finished = run_state == "succeeded" and summary.is_training
    if is_finished and st.button(_("Compare"), icon=":material/compare_arrows:", key="run.compare"):
        runs = ",".join(run_list.with_comparable(run.id))
        st.switch_page(state.COMPARE_PAGE, query_params={state.Compare.RUNS.param: runs})
    lr_range_test.train_button(run, summary.report.range_test if summary.report else None)
    if st.button(
        _("New run from this"),
        icon=":material/content_copy:",
        key="run.again",
        help=_("Opens Launch with this run's settings."),
    ):
        st.session_state.pop(state.Launch.FROM.key, None)  # so that the form is filled again
        st.switch_page(state.LAUNCH_PAGE, query_params={state.Launch.FROM.param: run.id})
    if run_state in run_list.ACTIVE and st.button(
        _("Stop"),
        icon=":material/stop:",
        key="run.stop",
        help=_("Saves a checkpoint first, so that you can resume the run."),
    ):
        jobs.stop(run)
        st.toast(_("Stopping the run. It saves a checkpoint first."))
    if run_state in RESUMABLE and st.button(
        _("Resume"),
        icon=":material/resume:",
        type="primary",
        key="run.resume",
        help=_("Continues from the last checkpoint."),
    ):
        jobs.resume(run, Workspace.current())
        st.rerun()
    if run_state != "running":
        with st.popover(_("Delete"), icon=":material/delete:", key="run.delete"):
            st.markdown(_("This deletes the run's folder with its model and predictions. It cannot be undone."))
            if st.button(_("Delete permanently"), key="run.delete.yes"):
                run.delete()
                state.remember(state.RUN, "")
                state.remember(state.RunPage.ID, "")
                st.toast(_("Deleted {run}.").format(run=md(run_list.title(run.id))))
                st.switch_page(state.RUNS_PAGE)


def live(run: Run, summary: RunSummary) -> None:
    """Draw alerts, curves and log, and redraw only these every two seconds while the run is active.

    Args:
        run: the run.
        summary: summary of the run.
    """
    active = summary.state in run_list.ACTIVE
    if summary.is_training:
        watch.controls()

    @st.fragment(run_every=2 if active else None)
    def draw() -> None:
        latest = run.summary(with_spec=False) if active else summary
        if latest.state != summary.state:
            st.rerun()  # the buttons and the report change with the state
        draw_once(run, latest)

    draw()


def draw_once(run: Run, summary: RunSummary) -> None:
    """Draw everything that changes while a run trains; the cost does not grow with the length of the run.

    Args:
        run: the run.
        summary: summary of the run.
    """
    with show_errors("live_error"):
        if not summary.report:
            notes.draw(run.data_notes())
        if summary.is_training:
            watch.show_alerts(run)
            watch.draw_other_curves(run)
        samples.draw_samples(run)
        samples.draw_confusion(run)
        watch.draw_usage(run)
        watch.draw_log(run)


def show_range_test(report: Report) -> None:
    """Show the learning rate that a range test suggests.

    Args:
        report: report of the test.
    """
    if report.range_test:
        lr_range_test.show_result(report.range_test)


def results(summary: RunSummary) -> None:
    """Show the final metrics with intervals, and the cost.

    Args:
        summary: summary of the run.
    """
    report, cost = summary.report, summary.cost
    if report is None:
        return
    if report.metrics:
        _show_metrics(report)
    words = [
        _("{duration} of training").format(duration=duration(cost.seconds)),
        _("{n} of {total} parameters trained").format(
            n=number(cost.trained_parameters), total=number(cost.total_parameters)
        ),
    ]
    if cost.peak_memory_bytes:
        words.append(_("{size} peak memory").format(size=gigabytes(cost.peak_memory_bytes)))
    if cost.tokens_per_second:
        words.append(_("{n} tokens per second").format(n=number(round(cost.tokens_per_second))))
    if cost.mfu is not None:
        words.append(_("{share} of the device's peak").format(share=f"{cost.mfu:.1%}"))
    st.caption(md(" · ".join(words)), help=help_for("trained parameters"))
    if report.baseline_name:
        text = _("Baseline: {name}.").format(name=_(report.baseline_name))
        st.caption(md(text, 500), help=help_for("baseline"))
    notes.draw([cost_estimate.compare_with_actual(report), *report.marked_notes()])


def _show_metrics(report: Report) -> None:
    metrics = report.metrics
    terms = ["interval", *(name for name in ("loss", "perplexity") if name in metrics)]
    heading = _("Result on the test set")
    if report.evaluated_on == "valid":
        heading = _("Result on the validation set")
    st.subheader(heading, help=help_for(*terms), anchor=False)
    ends = ("value", "low", "high")
    columns = {end: _numbers(getattr(metric, end) for metric in metrics.values()) for end in ends}
    columns["baseline"] = _numbers(report.baseline.get(name) for name in metrics)
    labels = {"value": _("Value"), "low": _("Low"), "high": _("High"), "baseline": _("Baseline")}
    caption = _("Low and high: 95% interval.")
    if report.gain:  # over the baseline, example by example
        gains = [report.gain.get(name, Interval()) for name in metrics]
        columns |= {f"gain_{end}": _numbers(getattr(gain, end) for gain in gains) for end in ends}
        labels |= {"gain_value": _("Improvement"), "gain_low": _("At least"), "gain_high": _("At most")}
        caption = _("Low and high, at least and at most: 95% intervals.")
    large = any(abs(value) >= 100 for column in columns.values() for value in column)
    layout = "%.4g" if large else "%.3f"
    draw_table(
        {"metric": [cut(run_list.metric_name(name), 60) for name in metrics], **columns},
        hide_index=True,
        width="content",
        column_config={
            "metric": st.column_config.TextColumn(_("Metric")),
            **{name: st.column_config.NumberColumn(label, format=layout) for name, label in labels.items()},
        },
        key="run.result",
    )
    st.caption(caption)


def _numbers(values: Iterable[object]) -> Floats:
    """Return a column of numbers, aligned at the right; NaN, shown as blank, for anything else."""
    return np.array([value if isinstance(value, int | float) else np.nan for value in values], dtype=np.float64)


@st.fragment
def documents(run: Run) -> None:
    """Draw the report on the data and the spec, folded away; each is read when it is unfolded.

    Args:
        run: the run.
    """
    report = read_json(run.data_file)
    if isinstance(report, dict):
        heading = _("Data: rows, labels, lengths, rows left out")
        with st.expander(heading, icon=":material/table:", key="run.data", on_change="rerun") as unfolded:
            if unfolded.open:
                st.code(_as_yaml(report), language="yaml", height=320)
    heading = _("Settings of this run (YAML)")
    with st.expander(heading, icon=":material/settings:", key="run.spec", on_change="rerun") as unfolded:
        if unfolded.open:
            st.code(_spec_text(run) or _("The file spec.yaml is missing."), language="yaml", height=320)


def _spec_text(run: Run) -> str:
    try:
        return read_limited(run.spec_file).decode("utf-8", errors="replace")
    except OSError:
        return ""


def _as_yaml(document: dict[str, Any]) -> str:
    import yaml

    return cut_lines(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100))


def cut_lines(text: str, max_lines: int = 400) -> str:
    """Shorten a text to a number of lines, each of at most 300 characters.

    Args:
        text: any text.
        max_lines: how many lines are left.
    """
    lines = text.splitlines()
    more = len(lines) - max_lines
    last = [ngettext("... {n} more line", "... {n} more lines", more).format(n=more)] if more > 0 else []
    return "\n".join([cut(line, 300) if len(line) > 300 else line for line in lines[:max_lines]] + last)
