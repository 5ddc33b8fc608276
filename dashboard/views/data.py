"""Data: data sets of the catalogue and your own files, checked before a run trains on them."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.data import batch, choice, overview, repairs
from dashboard.parts.shared import first_visit, url_widgets
from dashboard.parts.shared.errors import show_errors
from workbench.i18n import N_, _
from workbench.workspace import Workspace

VIEWS = {"rows": N_("Rows and labels"), "near": N_("Near-duplicates"), "batch": N_("Tokens and the first batch")}

st.title(_("Data"))
first_visit.explain(
    "data",
    _(
        "**Data** shows the data sets that you can train on, and checks your own files before a run does: invalid "
        "rows, labels, lengths, texts that appear in more than one split. *Train on this data* opens Launch."
    ),
)
workspace = Workspace.current()
state.from_url(state.Data.DATASET, state.known(choice.names(workspace)))
name = None
with show_errors("data_choice_error"):
    browse, own = st.columns([3, 1], gap="large")
    with own:
        choice.draw_upload(workspace)
    with browse:
        name = choice.choose(workspace)
    with choice.catalogue_container(name):
        choice.draw_catalogue(name, workspace)
if name is None:
    st.info(_("Choose a data set, or upload a file."), icon=":material/table:")
    st.stop()
state.to_url(state.Data.DATASET, name)
with show_errors("data_error"):
    choice.show_details(name, workspace)
    if not choice.is_local(name, workspace):
        choice.draw_fetch(name, workspace)
        st.stop()
    spec = repairs.draw(choice.choose_use(name, workspace), workspace)
    if st.button(_("Train on this data"), type="primary", icon=":material/rocket_launch:", key="data_use"):
        choice.use(spec, workspace)
    view = url_widgets.segments(_("Show"), list(VIEWS), state.Data.VIEW, format_func=lambda view: _(VIEWS[view]))
    if view == "near":
        overview.draw_near_duplicates(spec, workspace)
    elif view == "batch":
        batch.draw(spec, workspace)
    else:
        overview.draw(spec, workspace)
