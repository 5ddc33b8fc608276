"""The choice of the runs that are compared; if only one is chosen, another is suggested."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.shared import run_list
from dashboard.parts.shared.text import md
from workbench.i18n import N_, _
from workbench.runs.documents import RunSummary

Summaries = dict[str, RunSummary]


def choose(runs: Summaries) -> list[str]:
    """Draw the choice of runs; return their ids, possibly fewer than two.

    Args:
        runs: summaries of all that can be chosen, by id, newest first.
    """
    choice = state.Compare.RUNS
    state.from_url(choice, state.some_of(list(runs)))
    if choice.key not in st.session_state:
        st.session_state[choice.key] = run_list.last_comparable(list(runs.values()))
    st.session_state[choice.key] = [run for run in st.session_state[choice.key] if run in runs]
    chosen = st.multiselect(
        _("Runs"),
        list(runs),
        format_func=run_list.chooser_label(list(runs.values())),
        key=choice.key,
        max_selections=state.MAX_RUNS,
        placeholder=_("Choose two or more runs"),
        help=_("All runs are compared with the first one; at most {max} runs.").format(max=state.MAX_RUNS),
    )
    state.to_url(choice, ",".join(chosen))
    return chosen


def ask_for_another(runs: Summaries, chosen: list[str]) -> None:
    """Show what to do when fewer than two runs are chosen.

    Args:
        runs: summaries of all that can be chosen, by id, newest first.
        chosen: one id, or none.
    """
    if not chosen:
        st.info(_("Choose two or more runs."), icon=":material/compare_arrows:")
        return
    first = runs[chosen[0]]
    others = sorted((run for run in runs if run != chosen[0]), key=lambda run: -comparability(first, runs[run]))
    text = _("{run} is chosen. Choose a run to compare it with.").format(run=run_list.title(first.id))
    st.info(md(text), icon=":material/compare_arrows:")
    if not others:
        st.caption(_("There is no other run yet."))
        st.page_link(state.LAUNCH_PAGE, label=_("Launch another run"), icon=":material/rocket_launch:")
        return
    label = run_list.chooser_label(list(runs.values()))

    def add() -> None:
        st.session_state[state.Compare.RUNS.key] = [chosen[0], st.session_state["compare.with"]]

    st.selectbox(
        _("Compare with"),
        others,
        index=None,
        key="compare.with",
        on_change=add,
        width=520,
        placeholder=_("Runs with the same test set first"),
        format_func=lambda run: f"{label(run)}, {_(REASONS[comparability(first, runs[run])])}",
    )


REASONS = {
    4: N_("same test set"),
    3: N_("same data set"),
    2: N_("same task"),
    1: N_("another task"),
    0: N_("not finished"),
}


def comparability(first: RunSummary, other: RunSummary) -> int:
    """Return how well two runs can be compared, from 0 (no result) to 4 (the same rows in the same splits).

    Args:
        first: summary of a run.
        other: summary of another.
    """
    if other.state != "succeeded":
        return 0
    if first.task != other.task:
        return 1
    fingerprints = [run.report.data_fingerprint if run.report else None for run in (first, other)]
    if fingerprints[0] is not None and fingerprints[0] == fingerprints[1]:
        return 4
    return 3 if first.data and first.data == other.data else 2
