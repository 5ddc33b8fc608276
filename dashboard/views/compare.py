"""Compare: what differs between runs in results, in curves and in settings, and what can be claimed of it."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts import (
    comparison,
    curves,
    evidence,
    evidence_calibration,
    evidence_confusion,
    evidence_labels,
    evidence_slices,
    evidence_thresholds,
    first_visit,
    run_list,
    tradeoff,
)
from dashboard.parts.errors import shown
from dashboard.parts.glossary import WORDS
from workbench.runs.run import Run
from workbench.workspace import Workspace

st.title("Compare")
first_visit.explain(
    "compare",
    "**Compare** says whether runs differ more than chance would make them, on the same test examples, "
    "and shows where. The first run chosen is what the others are compared with.",
)
runs = {run["id"]: run for run in run_list.trainings(run_list.newest_first())}
state.from_url(state.RUNS, state.CHOSEN_RUNS, state.some_of(list(runs)))
if not runs:
    run_list.nothing_yet("There is nothing to compare yet: two runs are needed.")
    st.stop()
if state.CHOSEN_RUNS not in st.session_state:
    st.session_state[state.CHOSEN_RUNS] = run_list.last_alike(list(runs.values()))
st.session_state[state.CHOSEN_RUNS] = [run for run in st.session_state[state.CHOSEN_RUNS] if run in runs]
chosen = st.multiselect(
    "Runs",
    list(runs),
    format_func=run_list.chooser_label(list(runs.values())),
    key=state.CHOSEN_RUNS,
    max_selections=state.MOST_RUNS,
    placeholder="Choose two or more runs",
    help="The first one is what the others are compared with.",
)
state.to_url(state.RUNS, ",".join(chosen))
if len(chosen) < 2:
    st.info("Choose two or more runs.", icon=":material/compare_arrows:")
    st.stop()
summaries = [runs[run_id] for run_id in chosen]
handles = [Run.open(run_id, Workspace.current()) for run_id in chosen]

metrics = comparison.common_metrics(summaries)
st.subheader("Results", help=WORDS["interval"], anchor=False)
if metrics:
    state.from_url(state.METRIC, state.COMPARE_METRIC, lambda given: given if given in metrics else None)
    metric = st.selectbox("Metric", metrics, format_func=run_list.metric_name, key=state.COMPARE_METRIC, width=260)
    state.to_url(state.METRIC, "" if metric == metrics[0] else metric)
    with shown("verdict_error"):
        comparison.show_claims(handles, metric)
    st.plotly_chart(comparison.picture(summaries, metric), key="compare.picture", config=curves.CONFIG)
    figures = comparison.figures_table(summaries)
    st.dataframe(figures, hide_index=True, column_config=comparison.aligned(figures), key="compare.figures")
    with shown("tradeoff_error"):
        tradeoff.draw(summaries, handles, metric)
else:
    st.info("These runs share no final metric: one of them has not finished.", icon=":material/hourglass_empty:")

st.subheader("Curves", anchor=False)
with st.container(horizontal=True, vertical_alignment="bottom"):
    x, log = curves.axis_and_scale()
with shown("curves_error"):
    curves.draw_overlaid(handles, x, log)

st.subheader("Evidence", anchor=False)
with shown("evidence_error"):
    other = evidence.other_of(handles)
    kinds = {
        "Only one is right": evidence.show_examples,
        "Confusion": evidence_confusion.draw,
        "Calibration": evidence_calibration.draw,
        "Thresholds": evidence_thresholds.draw,
        "Slices": evidence_slices.draw,
        "Doubtful labels": evidence_labels.draw,
        "Proofs": lambda *_: evidence.show_proofs(handles),
        "Heads that moved": evidence.show_moves,
    }
    for tab, (name, draw) in zip(st.tabs(list(kinds)), kinds.items(), strict=True):
        with tab, shown(f"evidence_error.{name}"):
            draw(handles[0], other)

st.subheader("Settings", anchor=False)
only = st.toggle("Only what differs", value=True, key="compare.only")
with shown("settings_error"):
    table = comparison.settings_table(handles, only)
    if table["Setting"]:
        st.dataframe(table, hide_index=True, key="compare.settings")
    else:
        st.caption("All settings are the same.")
