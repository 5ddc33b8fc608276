"""Learn: the course, your progress in it, and what comes next."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.learn import course
from dashboard.parts.shared import first_visit
from dashboard.parts.shared.errors import show_errors
from workbench.i18n import _
from workbench.teach.progress import course_progress

st.title(_("Learn"))
first_visit.explain(
    "learn",
    _(
        "**Learn** lists the course: guided notebooks to read and run, and lessons whose exercises check themselves. "
        "Both open in JupyterLab; this page shows your progress."
    ),
)
with show_errors("course_error"):
    lessons = course_progress()
    if not lessons:
        st.info(
            _("The notebooks and lessons come with the workbench's repository and are not part of this installation."),
            icon=":material/inbox:",
        )
        st.stop()
    course.show_totals(lessons)
    course.show_next(lessons)
    st.subheader(
        _("Guided notebooks"), help=_("From text to a Transformer that you build. Check off what you have read.")
    )
    course.show_guided(lessons)
    st.subheader(
        _("Lessons"), help=_("Realistic tasks of 20 to 40 minutes each, with exercises that check themselves.")
    )
    course.show_lessons(lessons)
