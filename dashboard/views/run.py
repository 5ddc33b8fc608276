"""Run: is the result good, where is it wrong, and what can be done with it?"""

from __future__ import annotations

import streamlit as st

from dashboard.parts.run import first_screen, opening, tabs
from dashboard.parts.shared.errors import show_errors

run = opening.open_run()
summary = run.summary(with_spec=False)
with show_errors("head_error"):
    opening.draw_head(run, summary)
first_screen.draw(run, summary)
tab = tabs.choose(run, summary)
with st.container(key=f"run_tab_{tab}"), show_errors("tab_error"):
    tabs.draw(tab, run, summary)
