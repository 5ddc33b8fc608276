"""How Launch's form begins (a preset, the settings of a run, a link), and how what it says is started."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.launch import launch_form
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.glossary import WORDS
from dashboard.parts.shared.text import cut, md
from workbench import jobs
from workbench.check import presets
from workbench.jobs.sweep_plan import SweepPlan
from workbench.jobs.sweeps import Sweep
from workbench.runs.run import Run
from workbench.spec import RunSpec, TrainingSpec
from workbench.workspace import Workspace

SEEDS, MOST_SEEDS = "launch_seeds", 20


def begin(workspace: Workspace) -> None:
    """Fill the form from the link or from the preset that is chosen here."""
    state.from_url(state.Launch.PRESET, _preset_in_link)
    state.from_url(state.Launch.FROM, lambda given: _run_in_link(given, workspace))
    st.selectbox(
        "Begin with",
        list(presets()),
        index=None,
        key=state.Launch.PRESET.key,
        on_change=_load_preset,
        placeholder="a preset, or the fields below",
        help="A preset fills the whole form.",
        persist_state="session",
    )
    if st.query_params.get(state.Launch.FROM.param) and st.session_state.get(state.Launch.FROM.key):
        st.caption(f"Begun from the run {md(st.session_state[state.Launch.FROM.key])}.")


def _load_preset() -> None:
    name = st.session_state.get(state.Launch.PRESET.key)
    state.to_url(state.Launch.PRESET, name or "")
    state.to_url(state.Launch.FROM, "")
    if name:
        launch_form.fill(presets()[name])


def _preset_in_link(given: str) -> str | None:
    if given not in presets():
        st.warning(f"There is no preset {md(cut(given, 40))}.", icon=":material/link_off:")
        return None
    launch_form.fill(presets()[given])
    return given


def _run_in_link(given: str, workspace: Workspace) -> str | None:
    found = state.one_of([run.id for run in Run.all(workspace)])(given)
    if found is None:
        return None
    with show_errors("launch_from_error"):
        launch_form.fill(Run.open(found, workspace).spec().changed({"name": None, "notes": ""}))
        return found
    return None


def seeds(document: dict[str, Any]) -> list[int]:
    """The field for how many seeds; the seeds that the runs will have, beginning with the form's own."""
    first = int(document.get("training", {}).get("seed", TrainingSpec.model_fields["seed"].default))
    if document.get("kind", "training") != "training":
        return [first]
    count = st.number_input(
        "Seeds", 1, MOST_SEEDS, 1, key=SEEDS, help=WORDS["seeds"], persist_state="session", width=140
    )
    return list(range(first, first + int(count)))


def start(spec: RunSpec | None, seeds: list[int], workspace: Workspace) -> None:
    """The page's main button. One seed is a run, shown on Runs; several are a group of runs, shown on Sweeps."""
    title = "Start training" if spec is None or spec.kind == "training" else "Start the test"
    title += f" with {len(seeds)} seeds" if len(seeds) > 1 else ""
    pressed = st.button(
        title, type="primary", icon=":material/rocket_launch:", disabled=spec is None, key="launch_submit"
    )
    st.caption("It goes on when you close the page. Runs that came before it are finished first.")
    if not pressed or spec is None:
        return
    if len(seeds) == 1:
        st.switch_page(state.RUNS_PAGE, query_params={state.RUN.param: jobs.submit(spec, workspace, confined=True).id})
    group = Sweep.create(SweepPlan(spec=spec, seeds=seeds), workspace, confined=True)
    st.switch_page(state.SWEEPS_PAGE, query_params={state.Sweeps.SWEEP.param: group.name})
