"""Watching a run: alerts, curves, its use of the machine, its log."""

from __future__ import annotations

import re
from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.runs import lr_range_test
from dashboard.parts.shared import curves
from dashboard.parts.shared.errors import with_hint
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.text import gigabytes
from workbench.i18n import N_, _, ngettext
from workbench.runs.documents import Report
from workbench.runs.run import Run
from workbench.runs.series.alerts import find_alerts
from workbench.runs.series.curves import plot_points
from workbench.runs.series.metric_store import USAGE, MetricStore, open_metrics

FIGURES_PER_ROW = 3
MAIN_HEIGHT = 360  # pixels of the large figure
LOG_BYTES = 32_768
SEARCHED_BYTES = 5_000_000  # at the end of the log
MAX_MATCHES = 200
FULL_RANGE = (0.0, 100.0)
_ROWS = "runs.rows"  # session key


def show_alerts(run: Run) -> None:
    """Show what looks wrong with a run, and what to do about it.

    Args:
        run: the run.
    """
    for alert in find_alerts(run):
        is_error = alert.severity == "error"
        icon = ":material/error:" if is_error else ":material/warning:"
        (st.error if is_error else st.warning)(with_hint(alert.message, alert.hint), icon=icon)


def read_url() -> None:
    """Set the controls of the curves to what the URL says; called before the first curve is drawn."""
    keys = state.Runs
    state.from_url(keys.AXIS, state.known(list(curves.X_AXES)))
    state.from_url(keys.LOG, lambda text: text == "1")
    state.from_url(keys.SMOOTH, _read_weight)
    state.from_url(keys.RANGE, _read_range)
    if keys.RANGE.key not in st.session_state:
        st.session_state[keys.RANGE.key] = FULL_RANGE


def controls() -> None:
    """Draw the controls of the curves; the URL holds them, so that a reload shows the same."""
    keys = state.Runs
    read_url()
    with st.container(horizontal=True, vertical_alignment="bottom", key="watch_controls"):
        x = st.selectbox(
            _("X axis"),
            list(curves.X_AXES),
            format_func=curves.axis_name,
            key=keys.AXIS.key,
            width=150,
            help=help_for("step", "epoch"),
        )
        weight = st.slider(
            _("Smoothing"), 0.0, 0.99, step=0.01, key=keys.SMOOTH.key, width=200, help=help_for("smoothing")
        )
        span: Any = st.slider(
            _("Zoom (%)"), 0.0, 100.0, step=0.1, format="%.1f", key=keys.RANGE.key, width=260,
            help=_("The part of the horizontal axis that is shown, with all its points."),
        )  # fmt: skip
        log = st.toggle(_("Logarithmic"), key=keys.LOG.key, help=_("Makes small differences near zero easier to see."))
    state.to_url(keys.AXIS, "" if x == "step" else x)
    state.to_url(keys.LOG, "1" if log else "")
    state.to_url(keys.SMOOTH, f"{weight:g}" if weight else "")
    state.to_url(keys.RANGE, "" if span == FULL_RANGE else f"{span[0]:g}-{span[1]:g}")


def _read_weight(text: str) -> float | None:
    return float(text) if re.fullmatch(r"0\.\d{1,2}", text) else None


def _read_range(text: str) -> tuple[float, float] | None:
    match = re.fullmatch(r"(\d{1,3}(?:\.\d)?)-(\d{1,3}(?:\.\d)?)", text)
    low, high = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
    return (low, high) if low < high <= 100 else None


def metric_title(name: str) -> str:
    """Return a metric's name for people.

    Args:
        name: such as ``eval/accuracy``.
    """
    return curves.title(name)


def draw_main_curve(run: Run) -> None:
    """Draw the loss of a run, or its first other metric, in a large figure.

    Args:
        run: the run.
    """
    metrics = open_metrics(run)
    groups = curves.groups(metrics)
    if not groups:
        st.caption(_("No curve yet. It begins after the first training steps."))
        return
    _draw_group(metrics, *groups[0], height=MAIN_HEIGHT)


def draw_other_curves(run: Run) -> None:
    """Draw every metric that is not in the main curve; at most a thousand points per line are sent.

    Args:
        run: the run.
    """
    metrics = open_metrics(run)
    groups = curves.groups(metrics)[1:]
    for first in range(0, len(groups), FIGURES_PER_ROW):
        row = groups[first : first + FIGURES_PER_ROW]
        for column, (heading, names) in zip(st.columns(FIGURES_PER_ROW), row, strict=False):
            with column:
                _draw_group(metrics, heading, names)


def _draw_group(metrics: MetricStore, heading: str, names: list[str], height: int | None = None) -> None:
    """Draw the metrics that share an axis, as the controls say."""
    values, keys = st.session_state, state.Runs
    style = curves.Style(
        values.get(keys.AXIS.key, "step"),
        bool(values.get(keys.LOG.key)),
        values.get(keys.SMOOTH.key, 0.0),
        values.get(keys.RANGE.key, FULL_RANGE),
    )
    lines = curves.lines_of(metrics, names, heading, style)
    chart = curves.figure(curves.title(names[0]) if len(names) == 1 else heading, lines, style)
    chart.update_layout(uirevision=f"{style.x} {style.span}")  # another range starts with its own zoom
    if height is not None:
        chart.update_layout(height=height)
    st.plotly_chart(chart, key=f"run.curve.{names[0]}", config=curves.CONFIG)


def draw_range_test(run: Run, report: Report | None) -> None:
    """Draw the one curve of a range test, which has few rows.

    Args:
        run: the test.
        report: report of the test, if it has finished.
    """
    cached = st.session_state[_ROWS] = curves.rows_of(run, st.session_state.get(_ROWS))
    lr_range_test.draw_curve(report.range_test if report else None, cached["rows"])


MACHINE = {  # the title, and the unit in which the value is shown
    "cpu_percent": (N_("Processor (% of one core)"), 1.0),
    "memory_bytes": (N_("Memory (GB)"), 1e9),
    "gpu_percent": (N_("GPU (%)"), 1.0),
    "gpu_memory_bytes": (N_("GPU memory (GB)"), 1e9),
}


def draw_usage(run: Run) -> None:
    """Draw the use of processor, memory and GPU during a run; nothing if it was not recorded.

    Args:
        run: the run.
    """
    metrics = open_metrics(run, USAGE)
    names = [name for name in MACHINE if name in metrics.names()]
    if not names:
        return
    last = {name: float(metrics.metrics[name][1][-1]) for name in names}
    words = []
    if "cpu_percent" in last:
        words.append(_("{n}% of one core").format(n=f"{last['cpu_percent']:.0f}"))
    if "memory_bytes" in last:
        words.append(_("{size} of memory").format(size=gigabytes(last["memory_bytes"])))
    heading = _("Machine: {usage}").format(usage=", ".join(words))
    with st.expander(heading, icon=":material/memory:", key="run.usage", on_change="rerun") as unfolded:
        if not unfolded.open:
            return
        for column, name in zip(st.columns(max(2, len(names))), names, strict=False):
            title, unit = _(MACHINE[name][0]), MACHINE[name][1]
            x, y = plot_points(metrics, name, "time")
            chart = curves.figure(title, [curves.Line(title, 0, x, y / unit)], curves.Style("time"))
            column.plotly_chart(chart, key=f"run.usage.{name}", config=curves.CONFIG)


def draw_log(run: Run) -> None:
    """Draw the end of the log, or the lines that match a search.

    Args:
        run: the run.
    """
    with st.expander(_("Log"), icon=":material/notes:", key="run.log", on_change="rerun") as unfolded:
        if not unfolded.open:
            return
        query = st.text_input(_("Search the log"), key="run.log.find", icon=":material/search:", max_chars=200)
        text = run.log(SEARCHED_BYTES if query else LOG_BYTES)
        if query:
            matches = [line for line in text.splitlines() if query.lower() in line.lower()]
            count = ngettext("{n} line", "{n} lines", len(matches)).format(n=f"{len(matches):,}")
            if len(matches) > MAX_MATCHES:
                count = _("{lines}, the last {max} are shown").format(lines=count, max=MAX_MATCHES)
            st.caption(count)
            text = "\n".join(matches[-MAX_MATCHES:]) or _("No line matches.")
        st.code(text or _("The log is empty so far."), language=None, height=320, wrap_lines=True)
        st.download_button(
            _("Download the log"),
            lambda: run.log(50_000_000).encode(),
            file_name=f"{run.id}.log.txt",
            mime="text/plain",
            key="run.log.download",
            on_click="ignore",
        )
