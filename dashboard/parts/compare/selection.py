"""Which runs are compared: chosen from all, or, where only one is given, the other one is asked for."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.shared import run_list
from dashboard.parts.shared.text import md
from workbench.runs.documents import RunSummary

Summaries = dict[str, RunSummary]


def choose(runs: Summaries) -> list[str]:
    """The ids of the runs that are compared; there may be fewer than two of them.

    Args:
        runs: the summaries of all that could be, by id, newest first.
    """
    state.from_url(state.Compare.RUNS, state.some_of(list(runs)))
    if state.Compare.RUNS.key not in st.session_state:
        st.session_state[state.Compare.RUNS.key] = run_list.last_alike(list(runs.values()))
    st.session_state[state.Compare.RUNS.key] = [run for run in st.session_state[state.Compare.RUNS.key] if run in runs]
    chosen = st.multiselect(
        "Runs",
        list(runs),
        format_func=run_list.chooser_label(list(runs.values())),
        key=state.Compare.RUNS.key,
        max_selections=state.MAX_RUNS,
        placeholder="Choose two or more runs",
        help=f"The first one is what the others are compared with; {state.MAX_RUNS} at most.",
    )
    state.to_url(state.Compare.RUNS, ",".join(chosen))
    return chosen


def ask_for_another(runs: Summaries, chosen: list[str]) -> None:
    """What to do where fewer than two runs are chosen."""
    if not chosen:
        st.info("Choose two or more runs.", icon=":material/compare_arrows:")
        return
    ours = runs[chosen[0]]
    others = sorted((run for run in runs if run != chosen[0]), key=lambda run: -likeness(ours, runs[run]))
    st.info(
        md(f"{run_list.title(ours.id)} is chosen. With which run shall it be compared?"),
        icon=":material/compare_arrows:",
    )
    if not others:
        st.caption("There is no other run yet.")
        st.page_link(state.LAUNCH_PAGE, label="Launch another one", icon=":material/rocket_launch:")
        return
    label = run_list.chooser_label(list(runs.values()))

    def add() -> None:
        st.session_state[state.Compare.RUNS.key] = [chosen[0], st.session_state["compare.with"]]

    st.selectbox(
        "Compare it with", others, index=None, key="compare.with", on_change=add, width=520,
        placeholder="Runs with the same test data first",
        format_func=lambda run: label(run) + _WHY[likeness(ours, runs[run])],
    )  # fmt: skip


_WHY = {4: ", same test data", 3: ", same data set", 2: ", same task", 1: ", another task", 0: ", not finished"}


def likeness(one: RunSummary, other: RunSummary) -> int:
    """How well a run can be compared with another, from 0 (it has no result) to 4 (the same rows in the same parts)."""
    if other.state != "succeeded":
        return 0
    if one.task != other.task:
        return 1
    prints = [run.report.data_fingerprint if run.report else None for run in (one, other)]
    if prints[0] is not None and prints[0] == prints[1]:
        return 4
    return 3 if one.data and one.data == other.data else 2
