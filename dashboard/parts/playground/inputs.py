"""The inputs of the Playground: a field for each input of the task, examples, and how a model generates."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import streamlit as st
from pydantic import Field, ValidationError

from dashboard import state
from dashboard.parts.explain import inputs as examples_of
from dashboard.parts.shared import spec_form
from dashboard.parts.shared.text import md
from workbench.data.columns import Column
from workbench.i18n import _
from workbench.inference.inputs import input_fields, inputs_from_row
from workbench.runs.run import Run
from workbench.tasks.base import Task
from workbench.tasks.shared.generation import GenerationConfig
from workbench.types import Json

Inputs = dict[str, Json]  # text or texts by role
Options = dict[str, Json]

FIELD, OPTION = "play.field", "play.option"  # prefixes of session keys
MAX_NEW_TOKENS = 500  # a page waits for them
LONG_ROLES = ("context", "source", "document", "article", "text", "prompt")  # often paragraphs


class PageGeneration(GenerationConfig):
    """How a model generates on this page: as in a spec, with a limit so that the page does not wait for long."""

    max_new_tokens: int = Field(40, ge=1, le=MAX_NEW_TOKENS, description="Maximum new tokens.")


def ask(run: Run, task: Task) -> tuple[Inputs, Options]:
    """Draw the form; return the inputs that are not empty, and how the model generates.

    Args:
        run: a finished run.
        task: task of the run.
    """
    columns = input_fields(task)
    _from_url(columns)
    _choose_example(run, columns)
    with st.form("play_form", border=False):
        for column in columns:
            _field(column)
        options = _options(run, task)
        st.form_submit_button(_("Run"), type="primary", icon=":material/chat:", key="play_ask")
    values = _values(columns)
    st.session_state[state.Playground.INPUT.key] = values
    state.to_url(state.Playground.INPUT, json.dumps(values, ensure_ascii=False) if values else "")
    return values, options


def may_be_empty(task: Task) -> bool:
    """Return whether a task needs no input, like a model that generates from nothing.

    Args:
        task: task of a run.
    """
    return not any(column.required and not column.may_be_empty for column in input_fields(task))


def role_name(role: str) -> str:
    """Return the name of a role.

    Args:
        role: such as ``text_pair``.
    """
    name = _(role.replace("_", " "))
    return name[:1].upper() + name[1:]


def _field(column: Column) -> None:
    label, several = role_name(column.role), column.kind == "texts"
    if not column.required:
        label = _("{label} (optional)").format(label=label)
    if several:
        label = _("{label}, one per line").format(label=label)
    st.text_area(
        label,
        key=f"{FIELD}.{column.role}",
        max_chars=state.MAX_TEXT,
        height=110 if several or column.role in LONG_ROLES else 68,
        help=md(_(column.description), 400),
        persist_state="session",
    )


def _values(columns: Sequence[Column]) -> Inputs:
    values: Inputs = {}
    for column in columns:
        text = st.session_state.get(f"{FIELD}.{column.role}") or ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines:
            values[column.role] = lines if column.kind == "texts" else text
    return values


def put(columns: Sequence[Column], document: Mapping[str, object]) -> Inputs:
    """Fill the fields, and return what was used: only existing fields, and only text.

    Args:
        columns: columns of the fields.
        document: by role, from a link or a row.
    """
    used: Inputs = {}
    for column in columns:
        value = document.get(column.role)
        lines = value if isinstance(value, list) else [value]
        # JSON can hold half a character, which no page can show
        texts = [line.encode("utf-8", "replace").decode() for line in lines if isinstance(line, str)]
        if texts:
            used[column.role] = [*texts] if column.kind == "texts" else texts[0]
        st.session_state[f"{FIELD}.{column.role}"] = "\n".join(texts)[: state.MAX_TEXT]
    return used


def _from_url(columns: Sequence[Column]) -> None:
    def read(text: str) -> Inputs | None:
        document = state.mapping(text)
        if document is None:
            st.warning(
                _("The input in this link cannot be read. The link may be incomplete."), icon=":material/link_off:"
            )
            return None
        return put(columns, document)

    if any(f"{FIELD}.{column.role}" in st.session_state for column in columns):
        st.session_state[state.Playground.INPUT.key] = _values(columns)
    state.from_url(state.Playground.INPUT, read)


def _choose_example(run: Run, columns: Sequence[Column]) -> None:
    """Draw the choice of a row of the run's data, which fills the fields."""
    rows = examples_of.examples(run)
    indices = [i for i, row in enumerate(rows.get("inputs", ())) if inputs_from_row(columns, row)]
    if not indices:
        return
    key = f"play.example.{run.id}"

    def take() -> None:
        index = st.session_state[key]
        if index is not None:
            put(columns, inputs_from_row(columns, rows["inputs"][index]))

    st.selectbox(
        _("An example of the run's data"),
        indices[: examples_of.MAX_EXAMPLES],
        index=None,
        format_func=lambda index: examples_of.example_label(rows, index),
        key=key,
        on_change=take,
        placeholder=_("choose one, or type your own below"),
        help=_("Texts that the run was evaluated on, most confident errors first."),
    )


# -- how a model generates ------------------------------------------------------------------------------------------


def _options(run: Run, task: Task) -> Options:
    """How the model generates; the fields start with the run's own values. Empty for a model that does not."""
    names = [name for name in PageGeneration.model_fields if name in type(task.config).model_fields]
    if not names:
        return {}
    prefix = f"{OPTION}.{run.id}"
    defaults = {name: getattr(task.config, name) for name in names}
    _options_from_url(prefix, defaults)
    with st.expander(_("Generation options"), icon=":material/tune:", key="play_options"):
        for name in names:
            st.session_state.setdefault(f"{prefix}.{name}", defaults[name])
        spec_form.draw(PageGeneration, prefix, only=names, columns=2)
    held = {name: st.session_state[f"{prefix}.{name}"] for name in names}
    values = {name: defaults[name] if value is None else value for name, value in held.items()}
    changed = {name: value for name, value in values.items() if value != defaults[name]}
    st.session_state[state.Playground.GENERATION.key] = changed
    state.to_url(state.Playground.GENERATION, json.dumps(changed) if changed else "")
    return values


def _options_from_url(prefix: str, defaults: Mapping[str, object]) -> None:
    def read(text: str) -> Options | None:
        document = state.mapping(text)
        try:
            PageGeneration.model_validate(document)
        except ValidationError:
            return None
        assert document is not None
        used = {name: value for name, value in document.items() if name in defaults}
        for name, value in used.items():
            st.session_state[f"{prefix}.{name}"] = value
        return used

    if any(f"{prefix}.{name}" in st.session_state for name in defaults):
        held = {name: st.session_state.get(f"{prefix}.{name}") for name in defaults}
        changed = {name: value for name, value in held.items() if value is not None and value != defaults[name]}
        st.session_state[state.Playground.GENERATION.key] = changed
    state.from_url(state.Playground.GENERATION, read)
