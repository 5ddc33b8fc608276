"""Explain: one text through a trained model: its prediction, what its tokens count for, and its attention."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts import run_list
from dashboard.parts.errors import shown
from workbench.runs.run import Run
from workbench.workspace import Workspace

VIEWS = {"tokens": "What each token counts", "head": "Attention: head view", "model": "Attention: model view"}

st.title("Explain")
runs = run_list.newest_first()
ids = run_list.ids([run for run in runs if run_list.explainable(run)])
state.from_url(state.RUN, state.CHOSEN_RUN, state.one_of(ids))
state.from_url(state.TEXT, state.EXPLAIN_TEXT, lambda given: given[: state.LONGEST_TEXT])
state.from_url(state.VIEW, state.CHOSEN_VIEW, lambda given: given if given in VIEWS else None)
if not ids:
    run_list.nothing_yet("There is no finished run to look into yet. Range tests and models that write have no labels.")
    st.stop()
if st.session_state.get(state.CHOSEN_RUN) not in ids:
    st.session_state[state.CHOSEN_RUN] = ids[0]
chosen = st.selectbox("Run", ids, format_func=run_list.title, key=state.CHOSEN_RUN)
state.to_url(state.RUN, chosen)
run = Run.open(chosen, Workspace.current())

from dashboard.parts import look_inside  # noqa: E402  brings torch: only when there is a model to look into

left, right = st.columns([3, 2], gap="large")
with left, shown("example_error"):
    text = st.text_area(
        "Text", key=state.EXPLAIN_TEXT, max_chars=state.LONGEST_TEXT, height=120, placeholder="Type a sentence ..."
    )
    state.to_url(state.TEXT, text)
    look_inside.choose_example(run)
predictor = look_inside.load(run)
with right, shown("prediction_error"):
    given = look_inside.inputs(predictor, text)
    if text.strip():
        look_inside.show_prediction(predictor.predict([given])[0])
    else:
        st.info("Type a sentence, or choose a test example.", icon=":material/edit:")
        st.stop()
st.session_state.setdefault(state.CHOSEN_VIEW, "tokens")
view = st.segmented_control(
    "View", list(VIEWS), format_func=lambda name: VIEWS[name], key=state.CHOSEN_VIEW, required=True
)
state.to_url(state.VIEW, view or "")
with shown("view_error"):
    if view == "tokens":
        look_inside.show_tokens(predictor, given)
    else:
        look_inside.show_attention(predictor, given, "model" if view == "model" else "head")
