"""Explain: one text through a trained model, or through two: what counted, what looked where, how far to believe it."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard import state
from dashboard.parts.shared import first_visit, run_list
from dashboard.parts.shared.errors import show_errors
from workbench.runs.run import Run
from workbench.workspace import Workspace

VIEWS = {
    "tokens": "Tokens",
    "faithfulness": "Faithfulness",
    "canvas": "All heads",
    "head": "Head view",
    "model": "Model view",
    "neuron": "Neuron view",
    "lens": "Layer by layer",
    "heads": "What heads do",
}

st.title("Explain")
first_visit.explain(
    "explain",
    "**Explain** looks into a finished run with a text of yours: which words counted, where heads look, "
    "and a test of how far such a picture can be believed.",
)
runs = [run for run in run_list.newest_first() if run_list.explainable(run)]
ids = run_list.ids(runs)
state.from_url(state.RUN, state.one_of(ids))
state.from_url(state.Explain.VIEW, lambda given: given if given in VIEWS else None)
if not ids:
    run_list.nothing_yet("There is no finished run to look into yet.")
    st.stop()
if st.session_state.get(state.RUN.key) not in ids:
    st.session_state[state.RUN.key] = ids[0]
left, right = st.columns([3, 2], gap="large")
with left:
    chosen = st.selectbox("Run", ids, format_func=run_list.title, key=state.RUN.key)
state.to_url(state.RUN, chosen)
run = Run.open(chosen, Workspace.current())

# These bring torch: only when there is a model to look into.
from dashboard.parts.explain import attention_views, heads, inputs, layers, tokens  # noqa: E402
from dashboard.parts.shared import side_by_side  # noqa: E402

predictor = side_by_side.load(run)
with left, show_errors("example_error"):
    text = inputs.text_field()
    given = inputs.all_texts(predictor, text)
    inputs.choose_example(run, pairs=len(given) > 1)
both = [side_by_side.Side("this run", run, predictor, given, run.id)]
with right, show_errors("prediction_error"):
    other = inputs.choose_other(run, run_list.ids(run_list.of_the_task(runs, chosen)), given)
    if not text.strip():
        st.info("Type a sentence, or choose an example.", icon=":material/edit:")
        st.stop()
    if other is not None:
        both = [replace(both[0], name="this text" if other.what == run.id else "this run"), other]
    inputs.show_predictions(both)
st.session_state.setdefault(state.Explain.VIEW.key, "tokens")
view = st.segmented_control("View", list(VIEWS), format_func=VIEWS.get, key=state.Explain.VIEW.key, required=True)
state.to_url(state.Explain.VIEW, view or "")
with show_errors("view_error"):
    if view in ("tokens", "faithfulness"):
        choice = tokens.choose(both[0])
        (tokens.show_tokens if view == "tokens" else tokens.show_faithfulness)(both, choice)
    elif view == "lens":
        layers.show(both)
    elif view == "heads":
        heads.show(both)
    else:
        attention_views.show(both, view or "canvas")
