"""Launch: a form made from the spec's own fields, checked as it is filled in; what the run will take; start."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.launch import cost_estimate, launch_form, spec_yaml, start
from dashboard.parts.shared import first_visit
from dashboard.parts.shared.problems import problems_of, show_problems
from workbench.workspace import Workspace

st.title("Launch")
first_visit.explain(
    "launch",
    "**Launch** makes a run: choose what is to be learned, the data, a model and how it is tuned. What "
    "cannot work is told at the right before anything starts; *Estimate* takes a few real steps to tell "
    "time and memory. Runs go on when you close the page.",
)
workspace = Workspace.current()
form, side = st.columns([3, 2], gap="large")
with form:
    start.begin(workspace)
    document = launch_form.draw()
with side:
    st.subheader("Check", help="Made anew at each change, before anything is fetched or trained.", anchor=False)
    spec, problems = problems_of(document, workspace)
    show_problems(problems)
    spec_yaml.tell_what_is_lost(document)
    blocked = spec is None or any(problem.severity == "error" for problem in problems)
    seeds = start.seeds(document)
    start.start(None if blocked else spec, seeds, workspace)
    cost_estimate.draw(None if blocked else spec, workspace)
    spec_yaml.draw(document)
    spec_yaml.show_command(document, seeds)
