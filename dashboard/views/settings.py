"""Settings: where things are and what they take, cleaning the cache, the password, the look, versions."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.settings import password_form, sections
from dashboard.parts.shared import first_visit
from dashboard.parts.shared.errors import show_errors
from workbench.workspace import Workspace

st.title("Settings")
first_visit.explain(
    "settings",
    "**Settings** tells where your runs and files are and what they take, and frees what can be fetched again. "
    "Settings of a run are chosen on *Launch*.",
)
workspace = Workspace.current()
with show_errors("settings_places_error"):
    sections.draw_places(workspace)
with show_errors("settings_cleaning_error"):
    sections.draw_cleaning(workspace)
left, right = st.columns(2, gap="large")
with left, show_errors("settings_password_error"):
    password_form.draw(workspace)
with right, show_errors("settings_look_error"):
    sections.draw_look()
sections.draw_versions()
