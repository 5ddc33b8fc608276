"""Settings: folders and their sizes, the cache, the password, the appearance, versions."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.settings import password_form, sections
from dashboard.parts.shared import first_visit
from dashboard.parts.shared.errors import show_errors
from workbench.i18n import _
from workbench.workspace import Workspace

st.title(_("Settings"))
first_visit.explain(
    "settings",
    _(
        "**Settings** shows where your runs and files are and how much space they use, and clears what can be "
        "downloaded again. The settings of a run are on *Launch*."
    ),
)
workspace = Workspace.current()
with show_errors("settings_folders_error"):
    sections.draw_folders(workspace)
with show_errors("settings_cleaning_error"):
    sections.draw_cache(workspace)
left, right = st.columns(2, gap="large")
with left, show_errors("settings_password_error"):
    password_form.draw(workspace)
with right, show_errors("settings_appearance_error"):
    sections.draw_appearance()
sections.draw_versions()
