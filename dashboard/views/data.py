"""Data: data sets of the catalogue and your own files: checked, repaired, and trained on."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.data import batch, choice, findings, overview, preview, training
from dashboard.parts.shared import first_visit, url_widgets
from dashboard.parts.shared.data import reports
from dashboard.parts.shared.errors import show_error, show_errors
from workbench.data.catalogue.entries import catalogue
from workbench.data.proposals import UnclearColumnsError
from workbench.errors import WorkbenchError
from workbench.i18n import N_, _
from workbench.workspace import Workspace

VIEWS = {"rows": N_("Rows and labels"), "near": N_("Near-duplicates"), "batch": N_("Tokens and the first batch")}

st.title(_("Data"))
first_visit.explain(
    "data",
    _(
        "**Data** shows the data sets that you can train on, and checks your own files before a run does: invalid "
        "rows, labels, lengths, texts that appear in more than one split. What stands out can be settled with a click, "
        "and your file is never changed."
    ),
)
workspace = Workspace.current()
state.from_url(state.Data.DATASET, state.known(choice.names(workspace)))
name = st.session_state.get(state.Data.DATASET.key)
is_own = name is not None and name not in catalogue().datasets
heading = st.container()
with show_errors("data_choice_error"), choice.choice_container(is_own):
    browse, own = st.columns([3, 1], gap="large")
    with own:
        choice.draw_upload(workspace)
    with browse:
        name = choice.choose(workspace)
    choice.draw_catalogue(name, workspace)
if name is None:
    st.info(_("Choose a data set, or upload a file."), icon=":material/table:")
    st.stop()
state.to_url(state.Data.DATASET, name)
with show_errors("data_error"):
    with heading if is_own else st.container():
        choice.show_details(name, workspace)
    if not choice.is_local(name, workspace):
        choice.draw_fetch(name, workspace)
        st.stop()
    table, side = st.columns([3, 2], gap="large")
    rows = table.container()
    with table:
        spec = choice.choose_use(name, workspace)
    result = reports.overview_or_error(spec, workspace)
    if is_own:
        shown = choice.preview_of(spec)
        roles = findings.roles_of(spec, result)
        if shown is not None:
            with rows:
                preview.draw(shown, roles, isinstance(result, UnclearColumnsError))
        with side:
            findings.draw(spec, result, roles, shown)
            findings.draw_recipe(spec, result, workspace)
    training.draw(spec, result, workspace)
    if isinstance(result, WorkbenchError):
        if not is_own:
            show_error(result, "data_error")
        st.stop()
    st.subheader(_("More about the data"), anchor=False)
    view = url_widgets.segments(_("Show"), list(VIEWS), state.Data.VIEW, format_func=lambda view: _(VIEWS[view]))
    if view == "near":
        overview.draw_near_duplicates(spec, workspace)
    elif view == "batch":
        batch.draw(spec, workspace)
    else:
        overview.draw(spec, workspace)
