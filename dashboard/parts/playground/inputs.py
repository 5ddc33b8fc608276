"""What is asked in the Playground: a field for each input of the task, examples, and how a model writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import streamlit as st
from pydantic import Field

from dashboard import state
from dashboard.parts.explain import inputs
from dashboard.parts.shared import spec_form
from dashboard.parts.shared.text import md
from workbench.data.columns import Column
from workbench.inference.inputs import input_fields, inputs_from_row
from workbench.runs.run import Run
from workbench.tasks.base import Task
from workbench.tasks.shared.generation import GenerationConfig

FIELD, OPTION = "play.field", "play.option"  # prefixes of session keys
MOST_NEW_TOKENS = 500  # a page waits for them
LONG = ("context", "source", "document", "article", "text", "prompt")  # roles that often hold paragraphs


class Writing(GenerationConfig):
    """How a model writes on this page: as in a spec, but so that the page is not held up for long."""

    max_new_tokens: int = Field(40, ge=1, le=MOST_NEW_TOKENS, description="Most tokens that are written.")


def ask(run: Run, task: Task) -> tuple[dict[str, Any], dict[str, Any]]:
    """The form. Returns what is asked, by role, without what is empty; and how the model is to write."""
    columns = input_fields(task)
    _from_url(columns)
    _choose_example(run, columns)
    with st.form("play_form", border=False):
        for column in columns:
            _field(column)
        options = _options(run, task)
        st.form_submit_button("Ask", type="primary", icon=":material/chat:", key="play_ask")
    given = _given(columns)
    st.session_state[state.Playground.INPUT.key] = given
    state.to_url(state.Playground.INPUT, json.dumps(given, ensure_ascii=False) if given else "")
    return given, options


def may_be_empty(task: Task) -> bool:
    """Whether a task can be asked without a word, as a model that writes from nothing."""
    return not any(column.required and not column.may_be_empty for column in input_fields(task))


def _field(column: Column) -> None:
    label = column.role.replace("_", " ").capitalize() + ("" if column.required else " (optional)")
    several = column.kind == "texts"
    st.text_area(
        label + (", one a line" if several else ""),
        key=f"{FIELD}.{column.role}",
        max_chars=state.MAX_TEXT,
        height=110 if several or column.role in LONG else 68,
        help=md(column.description, 400),
        persist_state="session",
    )


def _given(columns: Sequence[Column]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column in columns:
        text = st.session_state.get(f"{FIELD}.{column.role}") or ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines:
            found[column.role] = lines if column.kind == "texts" else text
    return found


def put(columns: Sequence[Column], given: dict[str, Any]) -> dict[str, Any]:
    """Fill the fields; returns what was taken: only fields that there are, and only text."""
    taken = {}
    for column in columns:
        value = given.get(column.role)
        lines = value if isinstance(value, list) else [value]
        # JSON can hold half a character, which no page can show
        texts = [line.encode("utf-8", "replace").decode() for line in lines if isinstance(line, str)]
        if texts:
            taken[column.role] = texts if column.kind == "texts" else texts[0]
        st.session_state[f"{FIELD}.{column.role}"] = "\n".join(texts)[: state.MAX_TEXT]
    return taken


def _from_url(columns: Sequence[Column]) -> None:
    def read(given: str) -> dict[str, Any] | None:
        try:
            found = json.loads(given)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            st.warning("What the link asks cannot be read; it may have been cut.", icon=":material/link_off:")
            return None
        return put(columns, found)

    if any(f"{FIELD}.{column.role}" in st.session_state for column in columns):
        st.session_state[state.Playground.INPUT.key] = _given(columns)
    state.from_url(state.Playground.INPUT, read)


def _choose_example(run: Run, columns: Sequence[Column]) -> None:
    """A row of the run's own data, put into the fields."""
    rows = inputs.examples(run)
    offered = [i for i, row in enumerate(rows.get("inputs", ())) if inputs_from_row(columns, row)]
    if not offered:
        return
    key = f"play.example.{run.id}"

    def take() -> None:
        place = st.session_state[key]
        if place is not None:
            put(columns, inputs_from_row(columns, rows["inputs"][place]))

    st.selectbox(
        "An example of the run's data",
        offered[: inputs.MOST_EXAMPLES],
        index=None,
        format_func=lambda i: inputs.example_label(rows, i),
        key=key,
        on_change=take,
        placeholder="take one, or type your own below",
        help="Texts that the run was evaluated on: first those that it got wrong and was most sure of.",
    )


# -- how a model writes ---------------------------------------------------------------------------------------------


def _options(run: Run, task: Task) -> dict[str, Any]:
    """How the model is to write; the fields begin with what the run was given. Empty for a model that does not."""
    names = [name for name in Writing.model_fields if name in type(task.config).model_fields]
    if not names:
        return {}
    prefix = f"{OPTION}.{run.id}"
    usual = {name: getattr(task.config, name) for name in names}
    _options_from_url(prefix, usual)
    with st.expander("How it writes", icon=":material/tune:", key="play_options"):
        for name in names:
            st.session_state.setdefault(f"{prefix}.{name}", usual[name])
        spec_form.draw(Writing, prefix, only=names, columns=2)
    found = {name: st.session_state[f"{prefix}.{name}"] for name in names}
    found = {name: usual[name] if value is None else value for name, value in found.items()}
    st.session_state[state.Playground.GENERATION.key] = changed = {n: v for n, v in found.items() if v != usual[n]}
    state.to_url(state.Playground.GENERATION, json.dumps(changed) if changed else "")
    return found


def _options_from_url(prefix: str, usual: dict[str, Any]) -> None:
    def read(given: str) -> dict[str, Any] | None:
        try:
            found = json.loads(given)
            Writing.model_validate(found)
        except (ValueError, RecursionError):  # pydantic's errors are ValueErrors
            return None
        taken = {name: value for name, value in found.items() if name in usual}
        for name, value in taken.items():
            st.session_state[f"{prefix}.{name}"] = value
        return taken

    if any(f"{prefix}.{name}" in st.session_state for name in usual):
        held = {name: st.session_state.get(f"{prefix}.{name}") for name in usual}
        st.session_state[state.Playground.GENERATION.key] = {
            n: v for n, v in held.items() if v is not None and v != usual[n]
        }
    state.from_url(state.Playground.GENERATION, read)
