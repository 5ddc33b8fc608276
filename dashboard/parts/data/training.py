"""From data to a run: a first score within seconds, and three plans that can be started as they are."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import state
from dashboard.parts.data import choice
from dashboard.parts.launch import cost_estimate, model_cards, terms
from dashboard.parts.shared.data import reports
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.text import duration, md
from workbench import jobs
from workbench.check import Problem, check, make_task
from workbench.check.plans import Plan, PlanName, make_plans
from workbench.data.catalogue.entries import catalogue
from workbench.data.overview import Overview
from workbench.errors import WorkbenchError
from workbench.i18n import N_, _
from workbench.jobs import estimate
from workbench.spec import RunSpec
from workbench.system import machine
from workbench.tasks.base import Task
from workbench.training.core.rough_cost import rough_seconds
from workbench.workspace import Workspace

CHARACTERS_PER_TOKEN = 4.0  # of English; other scripts have fewer, and the estimate is rough
MOST_ROWS = 200_000  # with a first score; more take longer to read than people wait
PLANS: dict[PlanName, tuple[str, str]] = {
    "fast": (N_("Fast"), N_("The pretrained model stays as it is, and only its last layer learns.")),
    "balanced": (N_("Balanced"), N_("The model stays as it is, and a few small added weights learn.")),
    "best": (N_("Best"), N_("Every weight of the model learns. With few examples, the other plans can be better.")),
}
# Accuracy that the methods reached with MiniLM: tests/benchmarks/RESULTS.md.
MEASURED: dict[str, str] = {
    "head": N_("Measured: 69% on film reviews (2,000 examples, 2 classes), 73% on bank questions (1,000, 77 classes)."),
    "lora": N_("Measured: 67% on bank questions (1,000 examples, 77 classes, 5 epochs)."),
    "full": N_("Measured: 78% on film reviews (2,000 examples, 2 classes), 90% on bank questions (3,000, 77 classes)."),
}


def draw(spec: RunSpec, result: Overview | WorkbenchError, workspace: Workspace) -> None:
    """Draw the first score and the plans; why nothing can be trained yet, if that is so.

    Args:
        spec: which data, for which task.
        result: what the data contain, or why they cannot be used.
        workspace: where runs are stored.
    """
    st.subheader(_("Train on this data"), anchor=False)
    score = st.container(key="first_score")
    with show_errors("plans_error"):
        plans = make_plans(spec, workspace, confined=True)
        reasons = _reasons(plans, spec, result, workspace)
        if reasons:
            st.info(
                _("Training can start when this is settled: {reasons}").format(reasons=reasons), icon=":material/lock:"
            )
        elif plans:
            terms.draw(plans[0].spec, workspace)
        _draw_plans(plans, None if reasons or isinstance(result, WorkbenchError) else result, workspace)
        label, refused = _("Advanced: choose model, method and settings"), isinstance(result, WorkbenchError)
        if st.button(label, icon=":material/tune:", key="data_use", disabled=refused):
            choice.use(spec, workspace)
    if not isinstance(result, WorkbenchError):
        _draw_score(score, spec, result, workspace)


def _reasons(plans: list[Plan], spec: RunSpec, result: Overview | WorkbenchError, workspace: Workspace) -> str:
    """Return why a run would be refused, as one text; empty if it would not."""
    if isinstance(result, WorkbenchError):
        return _("see the findings above.")
    problems: list[Problem] = check(plans[0].spec if plans else spec, workspace, confined=True)
    errors = [problem for problem in problems if problem.severity == "error"]
    return " ".join(f"{md(problem.message, 300)} {md(problem.hint, 300)}" for problem in errors)


def _draw_plans(plans: list[Plan], report: Overview | None, workspace: Workspace) -> None:
    """Draw the plans; without a report, their buttons are off."""
    if not plans:
        st.caption(_("No pretrained model of the catalogue fits this task. Choose one under Advanced."))
        return
    for plan, column in zip(plans, st.columns(len(plans)), strict=True):
        with column.container(border=True, height="stretch", key=f"plan_{plan.name}"):
            _draw_plan(plan, report, workspace)
    model = model_cards.describe(catalogue().models[plans[0].spec.model.source])
    st.caption(md(_("Model: {model}").format(model=model), 400))


def _draw_plan(plan: Plan, report: Overview | None, workspace: Workspace) -> None:
    title, what = PLANS[plan.name]
    st.markdown(f"**{_(title)}**")
    st.markdown(_(what))
    if report is not None:
        st.markdown(_time(plan.spec, report, workspace))
    st.caption(_expected_quality(plan.spec), help=_("Where the number comes from: the project's benchmark results."))
    pressed = st.button(
        _("Train: {plan}").format(plan=_(title)),
        key=f"train_{plan.name}",
        icon=":material/rocket_launch:",
        type="primary" if plan.name == "fast" else "secondary",
        disabled=report is None,
        width="stretch",
    )
    if pressed:
        run = jobs.submit(plan.spec, workspace, confined=True)
        st.switch_page(state.RUNS_PAGE, query_params={state.RUN.param: run.id})


def _time(spec: RunSpec, report: Overview, workspace: Workspace) -> str:
    """Return how long a run takes: as it was measured here for the same settings, or roughly."""
    with st.spinner(_("Estimating ...")):
        known = estimate.status(spec, workspace, confined=True).estimate
    if known is not None:
        return _("Takes {span}, as measured here.").format(span=cost_estimate.span(known.total_seconds, duration))
    entry = catalogue().models[spec.model.source]
    if machine.gpus():
        return _("The time is not known before it is measured, under Advanced.")
    task = make_task(spec)
    labels = report["parts"]["train"]["labels"] or {}
    task.labels = list(labels)
    parts = report["parts"]
    seconds = rough_seconds(
        spec.tuning.method,
        entry.layers,
        entry.width,
        _tokens(report, spec.data.max_length),
        parts["train"]["rows"],
        parts["valid"]["rows"] if "valid" in parts else 0,
        task.min_steps(),
    )
    return _("Takes roughly {span}.").format(span=cost_estimate.span(seconds, duration))


def _tokens(report: Overview, longest: int) -> float:
    """Return the mean length of a training example in tokens, from the histogram of its characters."""
    lengths = report["parts"]["train"]["characters"]
    width = lengths["edges"][1] - lengths["edges"][0]
    middles = (min(longest, (edge + width / 2) / CHARACTERS_PER_TOKEN + 2) for edge in lengths["edges"])
    return sum(count * tokens for count, tokens in zip(lengths["counts"], middles, strict=False)) / sum(
        lengths["counts"]
    )


def _expected_quality(spec: RunSpec) -> str:
    measured = MEASURED.get(spec.tuning.method)
    if measured is not None and spec.task.name == "text-classification" and spec.model.source == "minilm":
        return _(measured)
    return _("Not measured for this task and model: the run compares itself with a simple model.")


def _draw_score(container: DeltaGenerator, spec: RunSpec, report: Overview, workspace: Workspace) -> None:
    """Draw the first score, last: it takes some seconds, and the page above is there meanwhile."""
    rows = report["parts"]["train"]["rows"]
    if type(make_task(spec)).simple_report is Task.simple_report or rows > MOST_ROWS:
        return
    with container:
        try:
            score = reports.first_score(spec, workspace)
        except WorkbenchError as error:
            st.caption(md(_("There is no first score: {reason}").format(reason=error.message), 400))
            return
        if score is None:
            return
        is_share = score["metric"] in ("accuracy", "macro_f1")
        guess, value, low, high = (
            f"{number:.0%}" if is_share else f"{number:.2f}"
            for number in (score["guess"], score["value"], score["low"], score["high"])
        )
        text = _("Always guessing gets {guess}; {seconds} of learning get **{value}** ({low} to {high}).").format(
            guess=guess, value=value, low=low, high=high, seconds=duration(max(1.0, score["seconds"]))
        )
        st.markdown(f"#### {text}", help=help_for("interval"))
        metric = _(score["metric"].replace("_", " ")).capitalize()
        text = _("{metric} on {n} examples that were held out, of a simple model that counts words.")
        caption = text.format(metric=metric, n=f"{score['test']:,}")
        if score["low"] <= score["guess"]:
            caption += " " + _("That is no better than guessing: check that the right columns are chosen.")
        st.caption(md(caption, 400))
