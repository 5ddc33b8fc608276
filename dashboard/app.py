"""The dashboard's navigation; each page is a file in views/. Start it with: workbench dashboard."""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st
from streamlit import config

from dashboard import state
from dashboard.parts.shared.errors import show_errors
from workbench.i18n import _

st.set_page_config(_("Transformer workbench"), str(Path(__file__).with_name("icon.svg")), layout="wide")

if config._server_mode is not None and not os.environ.get("WORKBENCH_DASHBOARD_SERVED"):
    st.error(_("Start the dashboard with: workbench dashboard"))  # `streamlit run` has no guard and listens everywhere
    st.stop()

page = st.navigation(
    [
        st.Page(state.HOME_PAGE, title=_("Home"), icon=":material/home:", default=True),
        st.Page(state.DATA_PAGE, title=_("Data"), icon=":material/table:"),
        st.Page(state.LAUNCH_PAGE, title=_("Launch"), icon=":material/rocket_launch:"),
        st.Page(state.RUNS_PAGE, title=_("Runs"), icon=":material/list_alt:"),
        st.Page(state.RUN_PAGE, title=_("Run"), icon=":material/analytics:", visibility="hidden"),
        st.Page(state.SWEEPS_PAGE, title=_("Sweeps"), icon=":material/grain:"),
        st.Page(state.COMPARE_PAGE, title=_("Compare"), icon=":material/compare_arrows:"),
        st.Page(state.EXPLAIN_PAGE, title=_("Explain"), icon=":material/search_insights:"),
        st.Page(state.PLAYGROUND_PAGE, title=_("Playground"), icon=":material/chat:"),
        st.Page(state.LEARN_PAGE, title=_("Learn"), icon=":material/school:"),
        st.Page(state.SETTINGS_PAGE, title=_("Settings"), icon=":material/settings:"),
    ]
)
st.html("<style>[data-testid=stMainBlockContainer]{padding:3.5rem 2.5rem 4rem}</style>")  # less margin
st.logo(str(Path(__file__).with_name("logo.svg")), size="large")
with show_errors("page_error"):
    page.run()
