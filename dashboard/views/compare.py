"""Compare: how runs differ in results, curves and settings, and which differences are real."""

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
from dashboard.parts.shared.glossary import help_for
from workbench.i18n import N_, _
from workbench.runs.run import Run
from workbench.workspace import Workspace

st.title(_("Compare"))
first_visit.explain(
    "compare",
    _(
        "**Compare** shows whether runs differ more than chance explains, on the same test examples, and where. "
        "All runs are compared with the first one."
    ),
)
runs = {run.id: run for run in run_list.training_runs(run_list.newest_first())}
if not runs:
    run_list.show_empty(_("There is nothing to compare yet. You need two runs."))
    st.stop()
chosen = selection.choose(runs)
if len(chosen) < 2:
    selection.ask_for_another(runs, chosen)
    st.stop()
summaries = [runs[run_id] for run_id in chosen]
handles = [Run.open(run_id, Workspace.current()) for run_id in chosen]

metrics = comparison.common_metrics(summaries)
st.subheader(_("Results"), help=help_for("claims"), anchor=False)
if metrics:
    metric = url_widgets.select(_("Metric"), metrics, state.Compare.METRIC, format_func=run_list.metric_name, width=260)
    with show_errors("verdict_error"):
        comparison.show_claims(handles, metric)
    st.plotly_chart(comparison.picture(summaries, metric), key="compare.picture", config=curves.CONFIG)
    comparison.show_metrics(summaries, metric)
    with show_errors("tradeoff_error"):
        tradeoff.draw(summaries, metric)
else:
    st.info(_("These runs share no final metric: one of them has not finished."), icon=":material/hourglass_empty:")

st.subheader(_("Curves"), anchor=False)
with show_errors("curves_error"):
    comparison_curves.draw(handles)

st.subheader(_("Evidence"), anchor=False)
KINDS: dict[str, evidence.Kind] = {
    "examples": evidence.Kind(N_("Only one is right"), evidence.show_examples),
    "confusion": evidence.Kind(N_("Confusion matrix"), confusion.draw),
    "calibration": evidence.Kind(N_("Calibration"), calibration.draw),
    "thresholds": evidence.Kind(N_("Thresholds"), thresholds.draw),
    "slices": evidence.Kind(N_("Slices"), slices.draw),
    "labels": evidence.Kind(N_("Label errors"), label_errors.draw),
    "faithfulness": evidence.Kind(N_("Faithfulness"), lambda *both: evidence.show_faithfulness(handles)),
    "heads": evidence.Kind(N_("Attention heads"), evidence.show_divergence),
}
with show_errors("evidence_error"):
    evidence.draw(handles, KINDS)

st.subheader(_("Settings"), anchor=False)
with show_errors("settings_error"):
    comparison.show_settings(handles)
    if metrics:
        tradeoff.draw_settings(summaries, handles, metric)
