"""What stands behind a comparison of two runs: a kind of evidence is chosen, and only that one is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.shared import run_list, url_widgets
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.text import cut, md, number
from workbench.compare.disagreements import disagreements
from workbench.runs.curves import group_by_config
from workbench.runs.predictions import input_text
from workbench.runs.run import Run

MOST_ROWS = 200
Draw = Callable[[Run, Run], None]


def draw(runs: list[Run], kinds: dict[str, tuple[str, Draw]]) -> None:
    """The first run beside another one.

    Args:
        runs: all that are compared.
        kinds: for each kind its name in the URL, what it is called, and what draws it.
    """
    other = other_of(runs)
    kind = url_widgets.select(
        "What to look at", list(kinds), state.Compare.EVIDENCE, buttons=True,
        format_func=lambda name: kinds[name][0], label_visibility="collapsed",
    )  # fmt: skip
    with show_errors(f"evidence_error.{kind}"):
        kinds[kind][1](runs[0], other)


def other_of(runs: list[Run]) -> Run:
    """The run that the first one is laid beside: at first one of another setting, not another seed of the same."""
    if len(runs) == 2:
        return runs[1]
    ids = [run.id for run in runs[1:]]
    usual = next((group[0].id for _, group in group_by_config(runs)[1:]), ids[0])
    chosen = url_widgets.select(
        "The first run beside", ids, state.Compare.OTHER, usual, format_func=run_list.title, width=520
    )
    return runs[1 + ids.index(chosen)]


def show_examples(first: Run, second: Run) -> None:
    """Examples that one gets right and the other wrong; a click on one opens its explanation in both."""
    which = url_widgets.select(
        "Which examples", ["first", "second"], state.Compare.CORRECT_RUN, buttons=True,
        format_func=lambda name: f"only the {name} run is right", label_visibility="collapsed",
    )  # fmt: skip
    found = [one for one in disagreements(first, second) if one.first_is_right == (which == "first")]
    if not found:
        st.caption("There is no such example.")
        return
    seen = found[:MOST_ROWS]
    columns = {
        "Right": [cut(one.gold, 60) for one in seen],
        "First": [cut(one.first, 60) for one in seen],
        "Second": [cut(one.second, 60) for one in seen],
        "The wrong one's score": [one.score for one in seen],
    }
    example_table([one.inputs for one in seen], columns, "compare.examples", first, second)
    st.caption(f"{len(found):,} of the examples; those where the wrong run is surest stand on top.")


def example_table(
    inputs: list[dict[str, Any]], columns: dict[str, list[Any]], key: str, first: Run, second: Run
) -> None:
    """Examples as a table; a click on one opens its explanation in both runs, where the task has explanations.

    Args:
        inputs: of the examples, by role.
        columns: what stands beside them; numbers are shown with two digits.
        key: of the table.
        first, second: the two runs.
    """
    opens = can_explain(first)
    numbers = [name for name, values in columns.items() if any(isinstance(value, float) for value in values)]
    event: Any = st.dataframe(
        {"Text": [cut(input_text(each), 300) for each in inputs], **columns},
        column_config={
            "Text": st.column_config.TextColumn(width="large"),
            **{name: st.column_config.NumberColumn(format="%.2f") for name in numbers},
        },
        hide_index=True,
        height=min(320, 38 + 35 * len(inputs)),
        on_select="rerun" if opens else "ignore",
        selection_mode="single-row",
        key=key,
    )
    if not opens:
        st.caption("Answers of this task cannot be explained word by word, so an example opens nothing.")
        return
    st.caption("Choose a row to see its explanation in both runs.")
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(inputs):
        explain_in_both(first, second, inputs[rows[0]])


def can_explain(run: Run) -> bool:
    """Whether the Explain page takes this run."""
    return run_list.explainable(run.summary(with_spec=False).model_copy(update={"task": run.status().task}))


def explain_in_both(first: Run, second: Run, inputs: dict[str, Any]) -> None:
    """To the Explain page, with both runs side by side.

    Args:
        first, second: the second is left out where its answers cannot be explained.
        inputs: of an example, by role.
    """
    from workbench.explain.examples import run_reads_pairs, text_inputs  # brings torch: only for those who go there

    given = text_inputs(inputs, run_reads_pairs(first))
    query = {
        state.RUN.param: first.id,
        state.Explain.VIEW.param: "tokens",
        state.Explain.TEXT.param: given["text"][: state.MAX_TEXT],
    }
    if "text_pair" in given:
        query[state.Explain.PAIR.param] = given["text_pair"][: state.MAX_TEXT]
    if can_explain(second):
        query[state.Explain.COMPARE_WITH.param] = second.id
    st.switch_page(state.EXPLAIN_PAGE, query_params=query)


def show_faithfulness(runs: list[Run]) -> None:
    """How faithful which method was found to be, a row a run and method."""
    found = []
    if any((run.folder / "explanations").is_dir() for run in runs):
        from workbench.explain.dataset_faithfulness import (
            read_dataset_faithfulness,  # brings torch: only when there is something to read
        )

        found = [(run, evaluation) for run in runs for evaluation in read_dataset_faithfulness(run.folder).values()]
    if not found:
        st.caption("No method was evaluated on these runs' texts yet. Go to Explain, Faithfulness.")
        return
    st.dataframe(
        {
            "Run": [run_list.title(run.id) for run, _ in found],
            "Method": [cut(evaluation.method) for _, evaluation in found],
            "Texts": [evaluation.examples for _, evaluation in found],
            "More than random": [_interval(evaluation.against_random) for _, evaluation in found],
            "More than raw attention": [_interval(evaluation.against_attention) for _, evaluation in found],
        },
        hide_index=True,
        key="compare.faithfulness",
    )
    st.caption(
        "How much further the prediction falls when the marked words are hidden than when random words are, or those "
        "that raw attention marks; with 95% interval. Above 0: the explanation finds what the model relies on."
    )
    for run, evaluation in found:
        st.caption(f"{md(run_list.title(run.id))}: {md(evaluation.sentence, 600)}")


def _interval(value: dict[str, float] | None) -> str:
    if value is None:
        return "-"
    return f"{value['value']:+.3f} ({number(value['low'])} to {number(value['high'])})"


def show_divergence(first: Run, second: Run) -> None:
    """Which heads moved most between two runs; the models are only loaded when this is asked for."""
    if not can_explain(first) or not can_explain(second):
        st.caption("Both runs must be finished, and of a task whose answers can be explained.")
        return
    if not st.toggle("Compare their heads", key="compare.heads"):
        return
    from dashboard.parts.explain import heads
    from dashboard.parts.shared import side_by_side

    both = [side_by_side.Side("", run, side_by_side.load(run), {"text": ""}, run.id) for run in (first, second)]
    heads.show_divergence(both)
