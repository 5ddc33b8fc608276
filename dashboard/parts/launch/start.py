"""How Launch's form is filled (a preset, the settings of a run, a link), and how its run is started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.launch import launch_form
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.text import cut, md
from workbench import jobs
from workbench.check import presets
from workbench.i18n import _
from workbench.jobs import estimate
from workbench.jobs.sweep_plan import SweepPlan
from workbench.jobs.sweeps import Sweep
from workbench.runs.run import Run
from workbench.spec import RunSpec, TrainingSpec
from workbench.workspace import Workspace

SEEDS, MAX_SEEDS = "launch_seeds", 20


def choose_preset(workspace: Workspace) -> None:
    """Fill the form from the link, or from the preset that is chosen here.

    Args:
        workspace: whose runs a link may name.
    """
    preset, run = state.Launch.PRESET, state.Launch.FROM
    state.from_url(preset, _preset_in_link)
    state.from_url(run, lambda run_id: _run_in_link(run_id, workspace))
    st.selectbox(
        _("Start from"),
        list(presets()),
        index=None,
        key=preset.key,
        on_change=_load_preset,
        placeholder=_("a preset, or fill in the fields below"),
        help=_("A preset fills the whole form."),
        persist_state="session",
    )
    if st.query_params.get(run.param) and st.session_state.get(run.key):
        st.caption(_("Filled from the run {run}.").format(run=md(st.session_state[run.key])))


def _load_preset() -> None:
    name = st.session_state.get(state.Launch.PRESET.key)
    state.to_url(state.Launch.PRESET, name or "")
    state.to_url(state.Launch.FROM, "")
    if name:
        launch_form.fill(presets()[name])


def _preset_in_link(name: str) -> str | None:
    if name not in presets():
        st.warning(_("There is no preset {name}.").format(name=md(cut(name, 40))), icon=":material/link_off:")
        return None
    launch_form.fill(presets()[name])
    return name


def _run_in_link(text: str, workspace: Workspace) -> str | None:
    run_id = state.one_of([run.id for run in Run.all(workspace)])(text)
    if run_id is None:
        return None
    with show_errors("launch_from_error"):
        launch_form.fill(Run.open(run_id, workspace).spec().changed({"name": None, "notes": ""}))
        return run_id
    return None


def choose_seeds(document: Mapping[str, Any]) -> list[int]:
    """Draw the field for the number of seeds; return the seeds, starting with the form's own.

    Args:
        document: what the form holds.
    """
    first = int(document.get("training", {}).get("seed", TrainingSpec.model_fields["seed"].default))
    if document.get("kind", "training") != "training":
        return [first]
    count = st.number_input(
        _("Seeds"), 1, MAX_SEEDS, 1, key=SEEDS, help=help_for("seeds"), persist_state="session", width=140
    )
    return list(range(first, first + int(count)))


def start(spec: RunSpec | None, seeds: list[int], workspace: Workspace) -> None:
    """Draw the page's main button. One seed starts a run, shown on Runs; several start a sweep, shown on Sweeps.

    Args:
        spec: spec of the run; None if it cannot run.
        seeds: one or more.
        workspace: where the run is stored.
    """
    label = _("Start training") if spec is None or spec.kind == "training" else _("Start the test")
    if len(seeds) > 1:
        label = _("Start training with {n} seeds").format(n=len(seeds))
    pressed = st.button(
        label, type="primary", icon=":material/rocket_launch:", disabled=spec is None, key="launch_submit"
    )
    st.caption(_("The run continues when you close the page. It starts after the runs that are already queued."))
    if not pressed or spec is None:
        return
    estimate.cancel(spec, workspace, confined=True)  # it would take half of the machine from the run
    if len(seeds) == 1:
        run = jobs.submit(spec, workspace, confined=True)
        st.switch_page(state.RUN_PAGE, query_params=state.run_link(run.id))
    sweep = Sweep.create(SweepPlan(spec=spec, seeds=seeds), workspace, confined=True)
    st.switch_page(state.SWEEPS_PAGE, query_params={state.Sweeps.SWEEP.param: sweep.name})
