"""The form that starts a sweep: what all trials share, the fields that vary, and how values are chosen."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.shared import run_list
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.problems import show_problems
from dashboard.parts.shared.text import cut, md
from workbench.check import presets, problems_of
from workbench.errors import RequestError, SpecError
from workbench.i18n import N_, _, ngettext
from workbench.jobs.sweep_plan import SweepPlan, problems_of_plan
from workbench.jobs.sweeps import Sweep
from workbench.runs.run import Run
from workbench.spec import RunSpec, TrainingSpec
from workbench.tuning.base import tunings
from workbench.workspace import Workspace

METHODS = {"tpe": N_("Guided by earlier trials (TPE)"), "random": N_("Random"), "grid": N_("Every combination")}
EXAMPLES = {
    "training.learning_rate": "1e-5..1e-3:log",
    "training.batch_size": "16,32,64",
    "training.epochs": "1,2,3",
    "training.warmup_ratio": "0..0.2",
    "training.weight_decay": "0..0.1",
    "tuning.rank": "4,8,16",
}
FIRST_FIELD = "training.learning_rate"
MAX_FIELDS = 8
_NOT_VARIED = ("device", "log_every", "checkpoint_every", "keep_checkpoints", "seed")  # of training; of no use
VALUES_HELP = N_(
    "Values separated by commas: 4,8,16. A range: 0..0.2, or 1e-5..1e-3:log for even steps in the logarithm. With "
    "every combination, end a range with the number of values: 1e-5..1e-3:log:5."
)


def draw(workspace: Workspace) -> Sweep | None:
    """Draw the whole form; return the sweep when one was started.

    Args:
        workspace: where it is stored.
    """
    spec = _base_spec(workspace)
    if spec is None:
        st.caption(_("Choose what all trials share, then the fields that vary."))
        return None
    over = _fields(spec)
    document = {"spec": spec, "over": over, **_settings(spec)}
    try:
        plan: SweepPlan | None = SweepPlan.parse(document, "The form")
        problems = problems_of_plan(plan, workspace, confined=True) if plan else []
    except SpecError as error:
        plan, problems = None, problems_of(error)
    except RequestError as error:
        plan, problems = None, []
        st.info(md(f"{error.message} {error.hint}", 500), icon=":material/info:")
    if problems:
        plan = None
        show_problems(problems)
    if plan is not None:
        _show_size(plan)
        _show_command(plan)
    if st.button(
        _("Start the sweep"), type="primary", icon=":material/rocket_launch:", key="sweep.start", disabled=plan is None
    ):
        assert plan is not None
        return Sweep.create(plan, workspace, confined=True)
    return None


def _show_size(plan: SweepPlan) -> None:
    n_runs = plan.size() * len(plan.seeds)
    runs = ngettext("{n} run", "{n} runs", n_runs).format(n=f"{n_runs:,}")
    if plan.over:
        trials = ngettext("{n} trial", "{n} trials", plan.size()).format(n=f"{plan.size():,}")
        text = _("**{trials}, {runs}.** They share the queue with your other runs.")
        st.markdown(text.format(trials=trials, runs=runs))
    else:
        text = _("**The same run with each seed: {runs}.** They share the queue with your other runs.")
        st.markdown(text.format(runs=runs))


def _base_spec(workspace: Workspace) -> RunSpec | None:
    """Return the spec that all trials start from: a preset's, or a run's."""
    runs = run_list.ids(run_list.training_runs(run_list.newest_first()))
    options = {f"preset:{name}": _("Preset {name}").format(name=name) for name in presets()}
    options |= {f"run:{run_id}": _("As in {run}").format(run=run_list.title(run_id)) for run_id in runs}
    chosen = st.selectbox(
        _("Start from"),
        list(options),
        index=None,
        format_func=lambda key: options[key],
        placeholder=_("a preset, or the settings of a run"),
        key="sweep.spec",
        help=_("What all trials share. To use other settings, start a run with Launch and choose it here."),
    )
    kind, _colon, name = (chosen or "").partition(":")
    if kind == "preset":
        return presets()[name].model_copy(deep=True)
    return Run.open(name, workspace).spec().changed({"name": None, "notes": ""}) if kind == "run" else None


def fields_of(spec: RunSpec) -> dict[str, str]:
    """Return the fields that may vary, each with its description.

    Args:
        spec: that all trials start from.
    """
    fields = {
        f"training.{name}": field.description or ""
        for name, field in TrainingSpec.model_fields.items()
        if name not in _NOT_VARIED
    }
    options = tunings.get(spec.tuning.method).Config.model_fields
    fields |= {f"tuning.{name}": field.description or "" for name, field in options.items()}
    fields |= {
        "data.max_length": N_("Maximum input length in tokens."),
        "data.limit.train": N_("Maximum number of training examples."),
    }
    first = [name for name in EXAMPLES if name in fields]
    return {name: fields[name] for name in [*first, *(name for name in fields if name not in first)]}


def _fields(spec: RunSpec) -> list[str]:
    """Return a row for each field that varies, in the syntax of ``--over``."""
    known = fields_of(spec)
    count = st.session_state.setdefault("sweep.fields", 2)
    over = []
    for index in range(count):
        is_first = index == 0
        left, right = st.columns(2)
        field = left.selectbox(
            _("Field") if is_first else _("Field {n}").format(n=index + 1),
            list(known),
            index=0 if is_first else None,
            key=f"sweep.field.{index}",
            placeholder=_("another field"),
            accept_new_options=True,
            help=_("Any field of a spec. You can type others: model.size, tuning.alpha."),
        )
        description = f" {_(known[field])}" if field in known else ""
        values = right.text_input(
            _("Values") if is_first else _("Values {n}").format(n=index + 1),
            value=EXAMPLES[FIRST_FIELD] if is_first else None,
            key=f"sweep.values.{index}",
            placeholder=EXAMPLES.get(field or "", "4,8,16 / 0..0.2"),
            help=_(VALUES_HELP) + description,
        )
        if field and values:
            over.append(f"{field}={values}")
    if count < MAX_FIELDS and st.button(_("Add a field"), icon=":material/add:", key="sweep.more"):
        st.session_state["sweep.fields"] = count + 1
        st.rerun()
    return over


def _settings(spec: RunSpec) -> dict[str, object]:
    columns = st.columns([2, 1, 1, 2], vertical_alignment="bottom")
    method = columns[0].selectbox(
        _("Search"), list(METHODS), format_func=lambda method: _(METHODS[method]), key="sweep.method",
        help=_("A guided search needs the fewest trials; every combination suits a handful of values."),
    )  # fmt: skip
    trials = columns[1].number_input(
        _("Trials"), 1, 10_000, 20, key="sweep.trials", disabled=method == "grid", help=_("How many settings to try.")
    )
    seeds = columns[2].number_input(
        _("Seeds"),
        1,
        20,
        1,
        key="sweep.seeds",
        help=_("Runs per trial, with seeds 0, 1, ...; the trial's result is their mean.") + " " + help_for("seeds"),
    )
    name = columns[3].text_input(
        _("Name"),
        max_chars=60,
        key="sweep.name",
        placeholder=cut(spec.name or "sweep", 40),
        help=_("The name of the folder."),
    )
    prune = st.checkbox(
        _("Stop weak trials early"),
        key="sweep.prune",
        help=_(
            "Stops a trial when its first seed is worse than the median of the earlier trials at the same evaluation. "
            "This needs four earlier trials."
        ),
    )
    return {
        "method": method,
        "trials": None if method == "grid" else trials,
        "seeds": seeds,
        "name": name or None,
        "prune": prune,
    }


def _show_command(plan: SweepPlan) -> None:
    with st.expander(_("The same on the command line"), icon=":material/terminal:", key="sweep_yaml"):
        st.code(plan.to_yaml(), language="yaml")
        st.markdown(_("Save this as `{name}`, then run:").format(name="sweep.yaml"))
        st.code("workbench sweep sweep.yaml", language="bash")
