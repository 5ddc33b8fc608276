"""The tabs below the first screen of a run; only the one that is open is computed."""

from __future__ import annotations

from dashboard import state
from dashboard.parts.shared import run_list, url_widgets
from workbench.i18n import N_, _
from workbench.runs.documents import RunSummary
from workbench.runs.predictions import has_predictions
from workbench.runs.run import Run

LIVE, MISTAKES, CLASSES, TRY, WHY, USE = "live", "mistakes", "classes", "try", "why", "use"
NAMES = {
    LIVE: N_("Training"),
    MISTAKES: N_("Mistakes"),
    CLASSES: N_("By class"),
    TRY: N_("Try it"),
    WHY: N_("Why"),
    USE: N_("Use it"),
}


def available(run: Run, summary: RunSummary) -> list[str]:
    """Return the tabs that a run has; the others need a result.

    Args:
        run: the run.
        summary: its summary.
    """
    if summary.state != "succeeded" or not summary.is_training:
        return [LIVE]
    evidence = [MISTAKES, CLASSES] if has_predictions(run) else []
    explainable = run_list.explainable(summary.model_copy(update={"task": run.status().task}))
    return [LIVE, *evidence, TRY, *([WHY] if explainable else []), USE]


def choose(run: Run, summary: RunSummary) -> str:
    """Draw the tabs; return the open one.

    Args:
        run: the run.
        summary: its summary.
    """
    names = available(run, summary)
    if len(names) == 1:
        return LIVE
    return url_widgets.segments(
        _("View"), names, state.RunPage.TAB, format_func=lambda name: _(NAMES[name]), label_visibility="collapsed"
    )


def draw(tab: str, run: Run, summary: RunSummary) -> None:
    """Draw one tab.

    Args:
        tab: its name.
        run: the run.
        summary: its summary.
    """
    if tab == LIVE:
        from dashboard.parts.runs import detail, filter

        filter.edit_notes(run)
        detail.results(summary)
        detail.live(run, summary)
        detail.documents(run)
    elif tab == MISTAKES:
        from dashboard.parts.run import mistakes

        mistakes.draw(run)
    elif tab == CLASSES:
        from dashboard.parts.run import by_class

        by_class.draw(run)
    elif tab in (TRY, WHY):
        from dashboard.parts.run import asking  # imports torch

        (asking.try_it if tab == TRY else asking.explain)(run, summary)
    else:
        from dashboard.parts.run import use

        use.draw(run, summary)
