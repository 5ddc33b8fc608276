"""Compare: what differs between runs in results, in curves and in settings, and what can be claimed of it."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.compare import (
    calibration,
    comparison,
    comparison_curves,
    confusion,
    evidence,
    label_errors,
    selection,
    slices,
    thresholds,
    tradeoff,
)
from dashboard.parts.shared import curves, first_visit, run_list, url_widgets
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.glossary import WORDS
from workbench.runs.run import Run
from workbench.workspace import Workspace

st.title("Compare")
first_visit.explain(
    "compare",
    "**Compare** says whether runs differ more than chance would make them, on the same test examples, "
    "and shows where. The first run chosen is what the others are compared with.",
)
runs = {run.id: run for run in run_list.trainings(run_list.newest_first())}
if not runs:
    run_list.nothing_yet("There is nothing to compare yet: two runs are needed.")
    st.stop()
chosen = selection.choose(runs)
if len(chosen) < 2:
    selection.ask_for_another(runs, chosen)
    st.stop()
summaries = [runs[run_id] for run_id in chosen]
handles = [Run.open(run_id, Workspace.current()) for run_id in chosen]

metrics = comparison.common_metrics(summaries)
st.subheader("Results", help=WORDS["claims"], anchor=False)
if metrics:
    metric = url_widgets.select("Metric", metrics, state.Compare.METRIC, format_func=run_list.metric_name, width=260)
    with show_errors("verdict_error"):
        comparison.show_claims(handles, metric)
    st.plotly_chart(comparison.picture(summaries, metric), key="compare.picture", config=curves.CONFIG)
    comparison.show_figures(summaries, metric)
    with show_errors("tradeoff_error"):
        tradeoff.draw(summaries, metric)
else:
    st.info("These runs share no final metric: one of them has not finished.", icon=":material/hourglass_empty:")

st.subheader("Curves", anchor=False)
with show_errors("curves_error"):
    comparison_curves.draw(handles)

st.subheader("Evidence", anchor=False)
KINDS = {
    "examples": ("Only one is right", evidence.show_examples),
    "confusion": ("Confusion", confusion.draw),
    "calibration": ("Calibration", calibration.draw),
    "thresholds": ("Thresholds", thresholds.draw),
    "slices": ("Slices", slices.draw),
    "labels": ("Doubtful labels", label_errors.draw),
    "faithfulness": ("Faithfulness", lambda *_: evidence.show_faithfulness(handles)),
    "heads": ("Heads that moved", evidence.show_divergence),
}
with show_errors("evidence_error"):
    evidence.draw(handles, KINDS)

st.subheader("Settings", anchor=False)
with show_errors("settings_error"):
    comparison.show_settings(handles)
    if metrics:
        tradeoff.draw_settings(summaries, handles, metric)
