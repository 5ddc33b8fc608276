"""The form that begins a sweep: what all trials share, the fields that vary, and how values are chosen."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.parts.shared import run_list
from dashboard.parts.shared.glossary import WORDS
from dashboard.parts.shared.problems import show_problems
from dashboard.parts.shared.text import cut, md
from workbench.check import presets, problems_of
from workbench.errors import RequestError, SpecError
from workbench.jobs.sweep_plan import SweepPlan, problems_of_plan
from workbench.jobs.sweeps import Sweep
from workbench.runs.run import Run
from workbench.spec import RunSpec, TrainingSpec
from workbench.tuning.base import tunings
from workbench.workspace import Workspace

METHODS = {"tpe": "Learn from the trials before (TPE)", "random": "By chance", "grid": "Every combination"}
FIRST_VALUES = {
    "training.learning_rate": "1e-5..1e-3:log",
    "training.batch_size": "16,32,64",
    "training.epochs": "1,2,3",
    "training.warmup_ratio": "0..0.2",
    "training.weight_decay": "0..0.1",
    "tuning.rank": "4,8,16",
}
MOST_FIELDS = 8
_LEAST_TRAINING = ("device", "log_every", "checkpoint_every", "keep_checkpoints", "seed")  # of no use to vary
VALUES_HELP = (
    "Values with commas: 4,8,16. A range: 0..0.2, or 1e-5..1e-3:log for even steps in the logarithm. "
    "For every combination, a range ends with how many values: 1e-5..1e-3:log:5."
)


def draw(workspace: Workspace) -> Sweep | None:
    """The whole form. Returns the sweep when one was started."""
    spec = _beginning(workspace)
    if spec is None:
        st.caption("Choose what all trials share; then the fields that vary.")
        return None
    over = _fields(spec)
    document = {"spec": spec, "over": over, **_settings(spec)}
    try:
        plan: SweepPlan | None = SweepPlan.parse(document, "The form")
        wrong = problems_of_plan(plan, workspace, confined=True) if plan else []
    except SpecError as error:
        wrong = problems_of(error)
    except RequestError as error:
        plan, wrong = None, []
        st.info(md(f"{error.message} {error.hint}", 500), icon=":material/info:")
    if wrong:
        plan = None
        show_problems(wrong)
    if plan is not None:
        runs = plan.size() * len(plan.seeds)
        trials = f"{plan.size():,} trials, " if plan.over else "The same run with each seed: "
        st.markdown(f"**{trials}{runs:,} runs.** They share the queue with your other runs.")
        _command(plan, over)
    if st.button(
        "Start the sweep", type="primary", icon=":material/rocket_launch:", key="sweep.start", disabled=plan is None
    ):
        assert plan is not None
        return Sweep.create(plan, workspace, confined=True)
    return None


def _beginning(workspace: Workspace) -> RunSpec | None:
    """The spec that all trials begin with: a preset's, or a run's."""
    runs = run_list.ids(run_list.trainings(run_list.newest_first()))
    kinds = {f"preset:{name}": f"Preset {name}" for name in presets()}
    kinds |= {f"run:{run_id}": f"As in {run_list.title(run_id)}" for run_id in runs}
    chosen = st.selectbox(
        "Begin with",
        list(kinds),
        index=None,
        format_func=lambda key: kinds[key],
        placeholder="a preset, or the settings of a run",
        key="sweep.spec",
        help="What the trials share. Launch makes a run with any settings; its sweep begins here.",
    )
    kind, _, name = (chosen or "").partition(":")
    if kind == "preset":
        return presets()[name].model_copy(deep=True)
    return Run.open(name, workspace).spec().changed({"name": None, "notes": ""}) if kind == "run" else None


def fields_of(spec: RunSpec) -> dict[str, str]:
    """The fields that one may want to vary, each with its description."""
    found = {
        f"training.{name}": field.description or ""
        for name, field in TrainingSpec.model_fields.items()
        if name not in _LEAST_TRAINING
    }
    options = tunings.get(spec.tuning.method).Config.model_fields
    found |= {f"tuning.{name}": field.description or "" for name, field in options.items()}
    found |= {"data.max_length": "Longest input in tokens.", "data.limit.train": "Most training examples to use."}
    first = [name for name in FIRST_VALUES if name in found]
    return {name: found[name] for name in [*first, *(name for name in found if name not in first)]}


def _fields(spec: RunSpec) -> list[str]:
    """A row for each field that varies; the same as ``--over`` says."""
    known = fields_of(spec)
    count = st.session_state.setdefault("sweep.fields", 2)
    found = []
    for place in range(count):
        left, right = st.columns(2)
        field = left.selectbox(
            "Field" if place == 0 else f"Field {place + 1}",
            list(known),
            index=0 if place == 0 else None,
            key=f"sweep.field.{place}",
            placeholder="another field",
            accept_new_options=True,
            help="Any field of a spec; others can be typed: model.size, tuning.alpha.",
        )
        values = right.text_input(
            "Values" if place == 0 else f"Values {place + 1}",
            value=FIRST_VALUES["training.learning_rate"] if place == 0 else None,
            key=f"sweep.values.{place}",
            placeholder=FIRST_VALUES.get(field or "", "4,8,16 or 0..0.2"),
            help=VALUES_HELP + (f" {known[field]}" if field in known else ""),
        )
        if field and values:
            found.append(f"{field}={values}")
    if count < MOST_FIELDS and st.button("Another field", icon=":material/add:", key="sweep.more"):
        st.session_state["sweep.fields"] = count + 1
        st.rerun()
    return found


def _settings(spec: RunSpec) -> dict[str, Any]:
    columns = st.columns([2, 1, 1, 2], vertical_alignment="bottom")
    method = columns[0].selectbox(
        "Values are chosen", list(METHODS), format_func=METHODS.__getitem__, key="sweep.method",
        help="Learning from the trials before needs the fewest trials; every combination suits a handful of values.",
    )  # fmt: skip
    trials = columns[1].number_input(
        "Trials", 1, 10_000, 20, key="sweep.trials", disabled=method == "grid", help="Choices of values to try."
    )
    seeds = columns[2].number_input(
        "Seeds",
        1,
        20,
        1,
        key="sweep.seeds",
        help="Runs of each trial, with seeds 0, 1, ...; their mean counts. " + WORDS["seeds"],
    )
    name = columns[3].text_input(
        "Name", max_chars=60, key="sweep.name", placeholder=cut(spec.name or "sweep", 40), help="The folder's name."
    )
    prune = st.checkbox(
        "Give up trials that fall behind",
        key="sweep.prune",
        help="A trial stops when its first seed is worse than the median of the trials before it at the same "
        "evaluation. It needs four trials to compare with.",
    )
    return {
        "method": method,
        "trials": None if method == "grid" else trials,
        "seeds": seeds,
        "name": name or None,
        "prune": prune,
    }


def _command(plan: SweepPlan, over: list[str]) -> None:
    with st.expander("The same on the command line", icon=":material/terminal:", key="sweep_yaml"):
        st.code(plan.to_yaml(), language="yaml")
        st.markdown("Save this as `sweep.yaml`, then:")
        st.code("workbench sweep sweep.yaml", language="bash")
