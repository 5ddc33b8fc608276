"""Launch: a form generated from the spec's fields, checked as it is filled in; a cost estimate; start."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.launch import cost_estimate, data_notes, launch_form, spec_yaml, start, terms
from dashboard.parts.shared import first_visit
from dashboard.parts.shared.problems import problems_of, show_problems
from workbench.i18n import _
from workbench.workspace import Workspace

st.title(_("Launch"))
first_visit.explain(
    "launch",
    _(
        "**Launch** starts a run: choose the task, the data, a model and a fine-tuning method. Problems are shown on "
        "the right before anything starts. *Estimate* runs a few real steps to measure time and memory. Runs continue "
        "when you close the page."
    ),
)
workspace = Workspace.current()
form, side = st.columns([3, 2], gap="large")
with form:
    start.choose_preset(workspace)
    document = launch_form.draw()
with side:
    help = _("Updated with each change, before anything is downloaded or trained.")
    st.subheader(_("Check"), help=help, anchor=False)
    spec, problems = problems_of(document, workspace)
    show_problems(problems)
    terms.draw(spec, workspace)
    data_notes.draw(spec, problems, workspace)
    spec_yaml.warn_about_lost_settings(document)
    blocked = spec is None or any(problem.severity == "error" for problem in problems)
    seeds = start.choose_seeds(document)
    start.start(None if blocked else spec, seeds, workspace)
    cost_estimate.draw(None if blocked else spec, workspace)
    spec_yaml.draw(document)
    spec_yaml.show_command(document, seeds)
