"""The answers of the Playground, side by side, and where to go from them."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.playground import answer_cards
from dashboard.parts.shared import run_list, side_by_side
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.text import md
from workbench.explain.hooks import MODEL_LOCK
from workbench.inference.predictor import Predictor
from workbench.runs.documents import RunSummary
from workbench.runs.run import Run
from workbench.tasks.answers import Answer
from workbench.tasks.base import Task


def show(runs: Sequence[Run], given: dict[str, Any], options: dict[str, Any]) -> None:
    """What each run answers, in a column of its own; what went wrong with one does not hide the other."""
    for place, (column, run) in enumerate(zip(st.columns(len(runs), gap="large"), runs, strict=True)):
        with column, show_errors(f"play_error_{place}"):
            if len(runs) > 1:
                st.markdown(f"**{md(run_list.title(run.id))}**")
            predictor = side_by_side.load(run)
            result, seconds = answer(run, given, options)
            answer_cards.draw(result, f"play.answer.{place}", place)
            st.caption(f"Answered in {_seconds(seconds)} on {where(predictor)}.")


def where(predictor: Predictor) -> str:
    """What the model computes on, in words: asked of its weights. One without weights is the processor's."""
    weight = next(iter(predictor.model.parameters()), None)
    device = "cpu" if weight is None else weight.device.type
    return {"cpu": "the processor", "cuda": "the GPU", "mps": "the GPU"}.get(device, f"the device {device}")


def answer(run: Run, given: dict[str, Any], options: dict[str, Any]) -> tuple[Answer, float]:
    """What the run answers, and how many seconds it took; asked once in a session. Raises WorkbenchError."""

    def asked() -> tuple[Answer, float]:
        predictor = side_by_side.load(run)
        with st.spinner("Asking the model ..."), MODEL_LOCK:
            start = time.perf_counter()
            (result,) = predictor.predict([given], options)
            return result, time.perf_counter() - start

    found = side_by_side.computed(asked, "play", run.id, side_by_side.changed(run), given, options)
    return found[0], found[1]


def _seconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def tell_more(
    runs: Sequence[Run], given: dict[str, Any], options: dict[str, Any], task: Task, summaries: list[RunSummary]
) -> None:
    """The way to Explain with the same text, and the same question on the command line."""
    summary = next(each for each in summaries if each.id == runs[0].id)
    texts = [str(given.get(each.role, "")) for each in task.inputs() if each.kind == "text" and each.required]
    if run_list.explainable(summary) and texts:
        query = {state.RUN.param: runs[0].id, state.Explain.TEXT.param: texts[0]}
        query |= {state.Explain.PAIR.param: texts[1]} if len(texts) > 1 else {}
        query |= {state.Explain.COMPARE_WITH.param: runs[1].id} if len(runs) > 1 else {}
        st.page_link(
            state.EXPLAIN_PAGE, label="Explain this answer", icon=":material/search_insights:", query_params=query
        )
    with st.expander("The same on the command line", icon=":material/terminal:", key="play_command"):
        sets = "".join(f" --set {shlex.quote(f'{name}={value}')}" for name, value in options.items())
        asked = shlex.quote(json.dumps(given, ensure_ascii=False))
        st.code("\n".join(f"workbench predict {run.id} --input {asked}{sets}" for run in runs), language="bash")
