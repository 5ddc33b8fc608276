"""The evidence behind the result of a run, or behind a comparison of two: only the kind that is chosen is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

from dashboard import state
from dashboard.parts.shared import run_list, url_widgets
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import between, cut, md
from dashboard.state import Linked
from workbench.compare.disagreements import disagreements
from workbench.i18n import N_, _, ngettext
from workbench.runs.predictions import input_text
from workbench.runs.run import Run
from workbench.runs.series.curves import group_by_config

if TYPE_CHECKING:
    from workbench.explain.dataset_faithfulness import Interval

Inputs = dict[str, Any]  # of an example, by role

MAX_ROWS = 200
CORRECT_RUNS = {"first": N_("only the first run is right"), "second": N_("only the second run is right")}


class Kind(NamedTuple):
    """A kind of evidence; its name is translated where it is shown."""

    name: str
    draw: Callable[[Run, Run | None], None]


class Column(NamedTuple):
    """A column of a table of examples; the label is translated."""

    key: str
    label: str
    cells: Sequence[str] | Sequence[float | None]


def draw(runs: list[Run], kinds: Mapping[str, Kind], choice: Linked = state.Compare.EVIDENCE) -> None:
    """Draw the evidence on one run, or on the first of several runs and another one.

    Args:
        runs: one run, or all that are compared.
        kinds: by their name in the URL.
        choice: holds the kind that is shown.
    """
    other = other_of(runs) if len(runs) > 1 else None
    kind = url_widgets.segments(
        _("Kind of evidence"),
        list(kinds),
        choice,
        format_func=lambda name: _(kinds[name].name),
        label_visibility="collapsed",
    )
    with show_errors(f"evidence_error.{kind}"):
        kinds[kind].draw(runs[0], other)


def both(first: Run, second: Run | None) -> tuple[Run, ...]:
    """Return the runs that are there.

    Args:
        first: a finished run.
        second: another; None for one run.
    """
    return (first,) if second is None else (first, second)


def other_of(runs: list[Run]) -> Run:
    """Draw the choice of the other run; by default one of another setting, not another seed of the same.

    Args:
        runs: all that are compared.
    """
    if len(runs) == 2:
        return runs[1]
    ids = [run.id for run in runs[1:]]
    default = next((group[0].id for name, group in group_by_config(runs)[1:]), ids[0])
    chosen = url_widgets.select(
        _("Compare the first run with"), ids, state.Compare.OTHER, default, format_func=run_list.title, width=520
    )
    return runs[1 + ids.index(chosen)]


def show_examples(first: Run, second: Run | None) -> None:
    """Show the examples that only one run gets right; a click opens an example's explanation in both.

    Args:
        first: a finished run.
        second: another.
    """
    assert second is not None
    which = url_widgets.segments(
        _("Examples"),
        list(CORRECT_RUNS),
        state.Compare.CORRECT_RUN,
        format_func=lambda name: _(CORRECT_RUNS[name]),
        label_visibility="collapsed",
    )
    rows = [row for row in disagreements(first, second) if row.first_is_right == (which == "first")]
    if not rows:
        st.caption(_("There are no such examples."))
        return
    shown = rows[:MAX_ROWS]
    columns = [
        Column("gold", _("Actual"), [cut(row.gold, 60) for row in shown]),
        Column("first", _("First run"), [cut(row.first, 60) for row in shown]),
        Column("second", _("Second run"), [cut(row.second, 60) for row in shown]),
        Column("score", _("Confidence of the wrong run"), [row.score for row in shown]),
    ]
    example_table([row.inputs for row in shown], columns, "compare.examples", first, second)
    text = ngettext(
        "{n} example, most confident errors first.", "{n} examples, most confident errors first.", len(rows)
    )
    st.caption(text.format(n=f"{len(rows):,}"))


def example_table(
    inputs: Sequence[Inputs], columns: Sequence[Column], key: str, first: Run, second: Run | None
) -> None:
    """Show examples as a table; a click opens an example's explanation, if the task has explanations.

    Args:
        inputs: inputs of the examples, by role.
        columns: beside the inputs; numbers are shown with two digits.
        key: key of the table.
        first: a finished run.
        second: another, whose explanation is shown beside that of the first; None for one run.
    """
    opens = can_explain(first)
    config = {"text": st.column_config.TextColumn(_("Text"), width="large")}
    for column in columns:
        is_number = any(isinstance(cell, float) for cell in column.cells)
        config[column.key] = (
            st.column_config.NumberColumn(column.label, format="%.2f")
            if is_number
            else st.column_config.TextColumn(column.label)
        )
    event: Any = draw_table(
        {"text": [cut(input_text(each), 300) for each in inputs], **{column.key: column.cells for column in columns}},
        column_config=config,
        hide_index=True,
        height=min(320, 38 + 35 * len(inputs)),
        on_select="rerun" if opens else "ignore",
        selection_mode="single-row",
        key=key,
    )
    if not opens:
        st.caption(_("Predictions of this task cannot be explained word by word."))
        return
    st.caption(
        _("Click a row to see why the model answered so.")
        if second is None
        else _("Click a row to see its explanation in both runs.")
    )
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(inputs):
        explain_example(first, second, inputs[rows[0]])


def can_explain(run: Run) -> bool:
    """Return whether the Explain page can open a run.

    Args:
        run: the run.
    """
    return run_list.explainable(run.summary(with_spec=False).model_copy(update={"task": run.status().task}))


def explain_example(first: Run, second: Run | None, inputs: Inputs) -> None:
    """Open the Explain page with one run, or with both side by side.

    Args:
        first: a finished run.
        second: another; left out if it is None or its predictions cannot be explained.
        inputs: inputs of an example, by role.
    """
    from workbench.explain.examples import run_reads_pairs, text_inputs  # imports torch: only when it is needed

    texts = text_inputs(inputs, run_reads_pairs(first))
    query = {
        state.RUN.param: first.id,
        state.Explain.VIEW.param: "tokens",
        state.Explain.TEXT.param: texts["text"][: state.MAX_TEXT],
    }
    if "text_pair" in texts:
        query[state.Explain.PAIR.param] = texts["text_pair"][: state.MAX_TEXT]
    if second is not None and can_explain(second):
        query[state.Explain.COMPARE_WITH.param] = second.id
    st.switch_page(state.EXPLAIN_PAGE, query_params=query)


def show_faithfulness(runs: list[Run]) -> None:
    """Show how faithful each method was found to be, a row per run and method.

    Args:
        runs: finished runs.
    """
    evaluations = []
    if any(run.explanations_folder.is_dir() for run in runs):
        from workbench.explain.dataset_faithfulness import read_dataset_faithfulness  # imports torch

        evaluations = [
            (run, evaluation) for run in runs for evaluation in read_dataset_faithfulness(run.folder).values()
        ]
    if not evaluations:
        st.caption(_("No method was evaluated on these runs' texts yet. Go to Explain, Faithfulness."))
        return
    column = st.column_config
    draw_table(
        {
            "run": [run_list.title(run.id) for run, evaluation in evaluations],
            "method": [cut(evaluation.method) for run, evaluation in evaluations],
            "texts": [evaluation.examples for run, evaluation in evaluations],
            "random": [_interval(evaluation.against_random) for run, evaluation in evaluations],
            "attention": [_interval(evaluation.against_attention) for run, evaluation in evaluations],
        },
        column_config={
            "run": column.TextColumn(_("Run")),
            "method": column.TextColumn(_("Method")),
            "texts": column.NumberColumn(_("Texts")),
            "random": column.TextColumn(_("More than random")),
            "attention": column.TextColumn(_("More than raw attention")),
        },
        hide_index=True,
        key="compare.faithfulness",
    )
    st.caption(
        _(
            "How much more the prediction drops when the highlighted words are masked than when random words are, or "
            "those that raw attention ranks highest; with 95% interval. Above 0, the explanation finds what the model "
            "relies on."
        )
    )
    for run, evaluation in evaluations:
        st.caption(f"{md(run_list.title(run.id))}: {md(evaluation.describe(), 600)}")


def _interval(value: Interval | None) -> str:
    if value is None:
        return "-"
    return f"{value['value']:+.3f} ({between(value['low'], value['high'])})"


def show_divergence(first: Run, second: Run | None) -> None:
    """Show which attention heads differ most between two runs; the models are only loaded on request.

    Args:
        first: a finished run.
        second: another.
    """
    assert second is not None
    if not can_explain(first) or not can_explain(second):
        st.caption(_("Both runs must have finished, and their task must have explanations."))
        return
    if not st.toggle(_("Compare their heads"), key="compare.heads"):
        return
    from dashboard.parts.explain import heads
    from dashboard.parts.shared import side_by_side

    heads.show_divergence(
        [side_by_side.Side("", run, side_by_side.load(run), {"text": ""}, run.id) for run in (first, second)]
    )
