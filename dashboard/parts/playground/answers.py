"""The answers of the Playground side by side, and links to what to do with them."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence

import streamlit as st

from dashboard import state
from dashboard.parts.playground import answer_cards
from dashboard.parts.playground.inputs import Inputs, Options
from dashboard.parts.shared import notes, run_list, session_cache, side_by_side
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.text import md
from workbench.explain.hooks import MODEL_LOCK
from workbench.i18n import _
from workbench.inference.predictor import Predictor
from workbench.runs.documents import RunSummary
from workbench.runs.run import Run
from workbench.tasks.answers import Answer
from workbench.tasks.base import Task


def show(runs: Sequence[Run], inputs: Inputs, options: Options) -> None:
    """Show the answer of each run in its own column; an error of one does not hide the other.

    Args:
        runs: one or two.
        inputs: by role.
        options: how a model generates.
    """
    for index, (column, run) in enumerate(zip(st.columns(len(runs), gap="large"), runs, strict=True)):
        with column, show_errors(f"play_error_{index}"):
            if len(runs) > 1:
                st.markdown(f"**{md(run_list.title(run.id))}**")
            predictor = side_by_side.load(run)
            answer, seconds = predict(run, inputs, options)
            answer_cards.draw(answer, f"play.answer.{index}", index)
            notes.draw(predictor.notes([inputs]))
            text = _("Answered in {time} on {device}.")
            st.caption(text.format(time=_time(seconds), device=device_name(predictor)))


def device_name(predictor: Predictor) -> str:
    """Return where a model computes, from its weights; a model without weights uses the processor.

    Args:
        predictor: the model.
    """
    weight = next(iter(predictor.model.parameters()), None)
    device = "cpu" if weight is None else weight.device.type
    names = {"cpu": _("the processor"), "cuda": _("the GPU"), "mps": _("the GPU")}
    return names.get(device) or _("the device {name}").format(name=device)


def predict(run: Run, inputs: Inputs, options: Options) -> tuple[Answer, float]:
    """Return a run's prediction and its time in seconds; computed once in a session.

    Args:
        run: a finished run.
        inputs: by role.
        options: how a model generates.

    Raises:
        WorkbenchError: the model cannot answer.
    """

    def compute() -> tuple[Answer, float]:
        predictor = side_by_side.load(run)
        with st.spinner(_("Running the model ...")), MODEL_LOCK:
            start = time.perf_counter()
            (answer,) = predictor.predict([inputs], options)
            return answer, time.perf_counter() - start

    return session_cache.get_or_compute(compute, "play", run.id, side_by_side.version_of(run), inputs, options)


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def show_links(runs: Sequence[Run], inputs: Inputs, options: Options, task: Task, summaries: list[RunSummary]) -> None:
    """Show the link to Explain with the same text, and the command that does the same.

    Args:
        runs: one or two.
        inputs: by role.
        options: how a model generates.
        task: task of the runs.
        summaries: summaries of all finished runs.
    """
    summary = next(summary for summary in summaries if summary.id == runs[0].id)
    roles = [column.role for column in task.inputs() if column.kind == "text" and column.required]
    texts = [str(inputs.get(role, "")) for role in roles]
    if run_list.explainable(summary) and texts:
        query = {state.RUN.param: runs[0].id, state.Explain.TEXT.param: texts[0]}
        query |= {state.Explain.PAIR.param: texts[1]} if len(texts) > 1 else {}
        query |= {state.Explain.COMPARE_WITH.param: runs[1].id} if len(runs) > 1 else {}
        label = _("Explain this answer")
        st.page_link(state.EXPLAIN_PAGE, label=label, icon=":material/search_insights:", query_params=query)
    with st.expander(_("The same on the command line"), icon=":material/terminal:", key="play_command"):
        sets = "".join(f" --set {shlex.quote(f'{name}={value}')}" for name, value in options.items())
        document = shlex.quote(json.dumps(inputs, ensure_ascii=False))
        st.code("\n".join(f"workbench predict {run.id} --input {document}{sets}" for run in runs), language="bash")
