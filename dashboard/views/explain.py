"""Explain: one text through a trained model, or through two: what mattered, and how faithful the explanation is."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard import state
from dashboard.parts.shared import first_visit, run_list
from dashboard.parts.shared.errors import show_errors
from workbench.i18n import N_, _
from workbench.runs.run import Run
from workbench.workspace import Workspace

VIEWS = {
    "tokens": N_("Tokens"),
    "faithfulness": N_("Faithfulness"),
    "canvas": N_("All heads"),
    "head": N_("Head view"),
    "model": N_("Model view"),
    "neuron": N_("Neuron view"),
    "lens": N_("Layer by layer"),
    "heads": N_("What heads do"),
}

st.title(_("Explain"))
first_visit.explain(
    "explain",
    _(
        "**Explain** looks inside a finished run with your own text: which words mattered, where attention heads "
        "look, and a test of how faithful such an explanation is."
    ),
)
runs = [run for run in run_list.newest_first() if run_list.explainable(run)]
ids = run_list.ids(runs)
state.from_url(state.RUN, state.one_of(ids))
state.from_url(state.Explain.VIEW, state.known(list(VIEWS)))
if not ids:
    run_list.show_empty(_("There is no finished run to explain yet."))
    st.stop()
if st.session_state.get(state.RUN.key) not in ids:
    st.session_state[state.RUN.key] = ids[0]
left, right = st.columns([3, 2], gap="large")
with left:
    run_id = st.selectbox(_("Run"), ids, format_func=run_list.title, key=state.RUN.key)
state.to_url(state.RUN, run_id)
run = Run.open(run_id, Workspace.current())

# These import torch: only when there is a model to look into.
from dashboard.parts.explain import attention_views, heads, inputs, layers, tokens  # noqa: E402
from dashboard.parts.shared import side_by_side  # noqa: E402

predictor = side_by_side.load(run)
with left, show_errors("example_error"):
    text = inputs.text_field()
    texts = inputs.all_texts(predictor, text)
    inputs.choose_example(run, pairs=len(texts) > 1)
sides = [side_by_side.Side(_("this run"), run, predictor, texts, run.id)]
with right, show_errors("prediction_error"):
    other = inputs.choose_other(run, run_list.ids(run_list.same_task(runs, run_id)), texts)
    if not text.strip():
        st.info(_("Type a sentence, or choose an example."), icon=":material/edit:")
        st.stop()
    if other is not None:
        name = _("this text") if other.is_run and other.run.id == run.id else _("this run")
        sides = [replace(sides[0], name=name), other]
    inputs.show_predictions(sides)
st.session_state.setdefault(state.Explain.VIEW.key, "tokens")
view = st.segmented_control(
    _("View"), list(VIEWS), format_func=lambda view: _(VIEWS[view]), key=state.Explain.VIEW.key, required=True
)
state.to_url(state.Explain.VIEW, view or "")
with show_errors("view_error"):
    if view in ("tokens", "faithfulness"):
        method = tokens.choose(sides[0])
        (tokens.show_tokens if view == "tokens" else tokens.show_faithfulness)(sides, method)
    elif view == "lens":
        layers.show(sides)
    elif view == "heads":
        heads.show(sides)
    else:
        attention_views.show(sides, view or "canvas")
