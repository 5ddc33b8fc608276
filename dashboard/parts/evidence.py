"""What stands behind a comparison of two runs: examples, proofs of explanations, and the heads that moved."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts import run_list
from dashboard.parts.text import cut, md, number
from workbench.runs.disagreements import disagreements
from workbench.runs.run import Run

MOST_ROWS = 200


def other_of(runs: list[Run]) -> Run:
    """The run that the first one is laid beside."""
    if len(runs) == 2:
        return runs[1]
    ids = [run.id for run in runs[1:]]
    chosen = st.selectbox("The first run beside", ids, format_func=run_list.title, key="compare.other", width=360)
    return runs[1 + ids.index(chosen)]


def show_examples(first: Run, second: Run) -> None:
    """Examples that one gets right and the other wrong; a click on one opens its explanation in both."""
    which = st.segmented_control(
        "Which examples",
        ["first", "second"],
        format_func=lambda name: f"only the {name} run is right",
        default="first",
        key="compare.which",
        label_visibility="collapsed",
    )
    every = disagreements(first, second)
    found = [one for one in every if one.first_is_right == (which != "second")]
    if not found:
        st.caption("There is no such example.")
        return
    shown = found[:MOST_ROWS]
    event: Any = st.dataframe(
        {
            "Text": [cut(one.text, 300) for one in shown],
            "Right": [cut(one.gold, 60) for one in shown],
            "First": [cut(one.first, 60) for one in shown],
            "Second": [cut(one.second, 60) for one in shown],
            "The wrong one's score": [one.score for one in shown],
        },
        column_config={
            "Text": st.column_config.TextColumn(width="large"),
            "The wrong one's score": st.column_config.NumberColumn(format="%.2f"),
        },
        hide_index=True,
        height=min(320, 38 + 35 * len(shown)),
        on_select="rerun",
        selection_mode="single-row",
        key="compare.examples",
    )
    st.caption(f"{len(found):,} of the examples. Choose a row to see its explanation in both runs.")
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(shown):
        explain_in_both(first, second, shown[rows[0]].text)


def explain_in_both(first: Run, second: Run, text: str) -> None:
    """To the Explain page, with both runs side by side."""
    query = {state.RUN: first.id, state.WITH: second.id, state.VIEW: "tokens", state.TEXT: text[: state.LONGEST_TEXT]}
    st.switch_page(state.EXPLAIN_PAGE, query_params=query)


def show_proofs(runs: list[Run]) -> None:
    """How faithful which method was found to be, a row a run and method."""
    found = []
    if any((run.folder / "explanations").is_dir() for run in runs):
        from workbench.explain.proof import read_proofs  # brings torch: only when there is something to read

        found = [(run, proof) for run in runs for proof in read_proofs(run.folder).values()]
    if not found:
        st.caption("No explanation of these runs was proven over many texts yet. Explain does it, under Proof.")
        return
    st.dataframe(
        {
            "Run": [run_list.title(run.id) for run, _ in found],
            "Method": [cut(proof.method) for _, proof in found],
            "Texts": [proof.examples for _, proof in found],
            "More than random": [_interval(proof.against_random) for _, proof in found],
            "More than raw attention": [_interval(proof.against_attention) for _, proof in found],
        },
        hide_index=True,
        key="compare.proofs",
    )
    st.caption(
        "How much further the prediction falls when the marked words are hidden than when random words are, or those "
        "that raw attention marks; with 95% interval. Above 0: the explanation finds what the model relies on."
    )
    for run, proof in found:
        st.caption(f"{md(run_list.title(run.id))}: {md(proof.sentence, 600)}")


def _interval(value: dict[str, float] | None) -> str:
    if value is None:
        return "-"
    return f"{value['value']:+.3f} ({number(value['low'])} to {number(value['high'])})"


def show_moves(first: Run, second: Run) -> None:
    """Which heads moved most between two runs; the models are only loaded when this is asked for."""
    if not st.toggle("Compare their heads", key="compare.heads"):
        return
    from dashboard.parts import explain_heads, sides

    both = [sides.Side("", run, sides.load(run), {"text": ""}, run.id) for run in (first, second)]
    explain_heads.show_moves(both)
