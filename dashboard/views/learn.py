"""Learn: the course, how far one has come in it, and what comes next."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.learn import course
from dashboard.parts.shared import first_visit
from dashboard.parts.shared.errors import show_errors
from workbench.teach.progress import course_progress

st.title("Learn")
first_visit.explain(
    "learn",
    "**Learn** lists the course: guided notebooks to read and run, and lessons whose exercises check themselves. "
    "Both are opened in JupyterLab; this page shows how far you have come.",
)
with show_errors("course_error"):
    standing = course_progress()
    if not standing:
        st.info(
            "The notebooks and lessons come with a checkout of the workbench's repository; they are not beside this "
            "installation.",
            icon=":material/inbox:",
        )
        st.stop()
    course.show_sum(standing)
    course.show_next(standing)
    st.subheader("Guided notebooks", help="From text to a Transformer that you built. Tick what you have read.")
    course.show_guided(standing)
    st.subheader("Lessons", help="Real jobs, 20 to 40 minutes each, with exercises that check themselves.")
    course.show_lessons(standing)
