"""Watching one run: alerts, curves as one wants them, what it uses of the machine, its log."""

from __future__ import annotations

import re

import streamlit as st

from dashboard import state
from dashboard.parts.runs import lr_range_test
from dashboard.parts.shared import curves
from dashboard.parts.shared.glossary import WORDS, help_for
from dashboard.parts.shared.text import gigabytes, md
from workbench.runs.alerts import find_alerts
from workbench.runs.curves import plot_points
from workbench.runs.documents import Report
from workbench.runs.metric_store import USAGE, open_metrics
from workbench.runs.run import Run

FIGURES_IN_A_ROW = 3
LOG_BYTES = 32_768
SEARCHED_BYTES = 5_000_000  # of the log's end
MOST_HITS = 200
_KEPT = "runs.rows"


def show_alerts(run: Run) -> None:
    """What is worrying about the run, each with what to do."""
    for alert in find_alerts(run):
        icon = ":material/error:" if alert.severity == "error" else ":material/warning:"
        show = st.error if alert.severity == "error" else st.warning
        show(f"{md(alert.message, 500)}\n\n**What to do:** {md(alert.hint, 500)}", icon=icon)


def controls() -> None:
    """How the curves are drawn; it stands in the URL, so that a reload shows the same."""
    state.from_url(state.Runs.AXIS, lambda given: given if given in curves.X_AXES else None)
    state.from_url(state.Runs.LOG, lambda given: given == "1")
    state.from_url(state.Runs.SMOOTH, _weight)
    state.from_url(state.Runs.RANGE, _part)
    if state.Runs.RANGE.key not in st.session_state:
        st.session_state[state.Runs.RANGE.key] = (0.0, 100.0)
    with st.container(horizontal=True, vertical_alignment="bottom", key="watch_controls"):
        x = st.selectbox(
            "Over",
            list(curves.X_AXES),
            format_func=curves.X_AXES.get,
            key=state.Runs.AXIS.key,
            width=150,
            help=help_for("step", "epoch"),
        )
        weight = st.slider(
            "Smoothing", 0.0, 0.99, step=0.01, key=state.Runs.SMOOTH.key, width=200, help=WORDS["smoothing"]
        )
        part = st.slider(
            "Part shown (%)", 0.0, 100.0, step=0.1, format="%.1f", key=state.Runs.RANGE.key, width=260,
            help="A part of the horizontal axis, read anew with all its points.",
        )  # fmt: skip
        log = st.toggle("Logarithmic", key=state.Runs.LOG.key, help="Small differences near zero can be seen better.")
    state.to_url(state.Runs.AXIS, "" if x == "step" else x)
    state.to_url(state.Runs.LOG, "1" if log else "")
    state.to_url(state.Runs.SMOOTH, f"{weight:g}" if weight else "")
    state.to_url(state.Runs.RANGE, "" if part == (0, 100) else f"{part[0]:g}-{part[1]:g}")


def _weight(given: str) -> float | None:
    return float(given) if re.fullmatch(r"0\.\d{1,2}", given) else None


def _part(given: str) -> tuple[float, float] | None:
    found = re.fullmatch(r"(\d{1,3}(?:\.\d)?)-(\d{1,3}(?:\.\d)?)", given)
    low, high = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
    return (low, high) if low < high <= 100 else None


def draw_curves(run: Run) -> None:
    """Every metric of the run; only what is new is read, and at most a thousand points a line are sent."""
    found = open_metrics(run)
    groups = curves.groups(found)
    if not groups:
        st.caption("No figures yet: they come with the first steps of training.")
        return
    look = st.session_state
    x, log = look.get(state.Runs.AXIS.key, "step"), bool(look.get(state.Runs.LOG.key))
    weight, part = look.get(state.Runs.SMOOTH.key, 0.0), look.get(state.Runs.RANGE.key, (0.0, 100.0))
    for first in range(0, len(groups), FIGURES_IN_A_ROW):
        row = groups[first : first + FIGURES_IN_A_ROW]
        for place, (heading, names) in zip(st.columns(FIGURES_IN_A_ROW), row, strict=False):
            lines = curves.lines_of(found, names, heading, x, weight, part)
            drawn = curves.figure(curves.title(names[0]) if len(names) == 1 else heading, lines, x, log)
            drawn.update_layout(uirevision=f"{x} {part}")  # another stretch begins with its own zoom
            place.plotly_chart(drawn, key=f"run.curve.{names[0]}", config=curves.CONFIG)


def draw_range_test(run: Run, report: Report | None) -> None:
    """The one curve of a range test; its lines are few."""
    kept = st.session_state[_KEPT] = curves.rows_of(run, st.session_state.get(_KEPT))
    lr_range_test.draw_curve(report.range_test if report else None, kept["rows"])


MACHINE = {  # title and what one unit is of what is stored
    "cpu_percent": ("Processor (% of one core)", 1.0),
    "memory_bytes": ("Memory (GB)", 1e9),
    "gpu_percent": ("GPU (%)", 1.0),
    "gpu_memory_bytes": ("GPU memory (GB)", 1e9),
}


def draw_usage(run: Run) -> None:
    """Processor, memory and GPU as the run went on; nothing where they were not looked at."""
    found = open_metrics(run, USAGE)
    names = [name for name in MACHINE if name in found.names()]
    if not names:
        return
    last = {name: float(found.metrics[name][1][-1]) for name in names}
    words = [f"{last['cpu_percent']:.0f}% of one core" if "cpu_percent" in last else ""]
    words.append(f"{gigabytes(last['memory_bytes'])} of memory" if "memory_bytes" in last else "")
    heading = f"Machine: {', '.join(filter(None, words))}"
    with st.expander(heading, icon=":material/memory:", key="run.usage", on_change="rerun") as unfolded:
        if not unfolded.open:
            return
        for place, name in zip(st.columns(max(2, len(names))), names, strict=False):
            heading, unit = MACHINE[name]
            xs, ys = plot_points(found, name, "time")
            drawn = curves.figure(heading, [curves.Line(heading, 0, xs, ys / unit)], "time")
            place.plotly_chart(drawn, key=f"run.usage.{name}", config=curves.CONFIG)


def draw_log(run: Run) -> None:
    """The end of the log as it is, or the lines that hold what is looked for."""
    with st.expander("Log", icon=":material/notes:", key="run.log", on_change="rerun") as unfolded:
        if not unfolded.open:
            return
        wanted = st.text_input("Find in the log", key="run.log.find", icon=":material/search:", max_chars=200)
        text = run.log(SEARCHED_BYTES if wanted else LOG_BYTES)
        if wanted:
            hits = [line for line in text.splitlines() if wanted.lower() in line.lower()]
            st.caption(f"{len(hits):,} lines" + (f", the last {MOST_HITS}" if len(hits) > MOST_HITS else ""))
            text = "\n".join(hits[-MOST_HITS:]) or "No line holds it."
        st.code(text or "Nothing was printed yet.", language=None, height=320, wrap_lines=True)
        st.download_button(
            "Download the log",
            lambda: run.log(50_000_000).encode(),
            file_name=f"{run.id}.log.txt",
            mime="text/plain",
            key="run.log.download",
            on_click="ignore",
        )
