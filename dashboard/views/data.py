"""Data: the catalogue and one's own files, looked at closely before anything is trained on them."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.data import batch, choice, overview
from dashboard.parts.shared import first_visit
from dashboard.parts.shared.errors import show_errors
from workbench.workspace import Workspace

VIEWS = {"rows": "Rows and labels", "near": "Near-duplicates", "batch": "Tokens and the first batch"}

st.title("Data")
first_visit.explain(
    "data",
    "**Data** shows what there is to learn from, and checks a file of your own before a run does: rows "
    "that are wrong, labels, lengths, texts that stand in two parts. *Use these data* takes them to "
    "Launch.",
)
workspace = Workspace.current()
names = choice.names(workspace)
state.from_url(state.Data.DATASET, lambda given: given if given in names else None)
chosen = None
with show_errors("data_choice_error"):
    browse, own = st.columns([3, 1], gap="large")
    with own:
        choice.draw_upload(workspace)
    with browse:
        chosen = choice.choose(workspace)
    choice.draw_catalogue(chosen, workspace)
if chosen is None:
    st.info("Choose a data set, or upload a file of yours.", icon=":material/table:")
    st.stop()
state.to_url(state.Data.DATASET, chosen)
with show_errors("data_error"):
    choice.tell_about(chosen, workspace)
    if not choice.is_here(chosen, workspace):
        choice.draw_fetch(chosen, workspace)
        st.stop()
    spec = choice.choose_use(chosen, workspace)
    if st.button("Use these data", type="primary", icon=":material/rocket_launch:", key="data_use"):
        choice.use(spec)
    state.from_url(state.Data.VIEW, lambda given: given if given in VIEWS else None)
    if st.session_state.get(state.Data.VIEW.key) not in VIEWS:
        st.session_state[state.Data.VIEW.key] = "rows"
    view = st.segmented_control("Show", list(VIEWS), format_func=VIEWS.get, key=state.Data.VIEW.key, required=True)
    state.to_url(state.Data.VIEW, "" if view == "rows" else str(view))
    if view == "near":
        overview.draw_near(spec, workspace)
    elif view == "batch":
        batch.draw(spec, workspace)
    else:
        overview.draw(spec, workspace)
