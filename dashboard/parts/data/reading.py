"""How an uploaded file is read: its sheet, its encoding and other settings, and the options of the task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

import streamlit as st
from pydantic import BaseModel, ValidationError

from dashboard import state
from dashboard.parts.shared import spec_form
from dashboard.parts.shared.data import offers, uploads
from dashboard.parts.shared.errors import show_errors
from workbench.i18n import _
from workbench.spec import DataSpec
from workbench.tasks.base import tasks

FIELDS = "data.fields"  # prefix of the session keys of fields of the data section
OPTIONS = "data.options"  # prefix of those of options, before the name of their task
FILE = "data.reading_for"  # session key: the file that the settings belong to
# In the expander; others have fields of their own on this page, or are settings of a run.
_NAMES = ("encoding", "delimiter", "documents", "group", "label_separator", "label_names", "outside_tag")
_NAMES += ("first_speaker",)
REPAIRS = ("on_bad_rows", "duplicates", "labels")  # chosen by clicks on findings


def draw(path: str, task: str) -> tuple[spec_form.Values, spec_form.Values]:
    """Draw the settings with which a file is read, as the link says until a field is changed.

    Args:
        path: path of the file.
        task: name of the task.

    Returns:
        The fields of the data section and the options of the task that differ from their defaults.
    """
    _forget_other_file(path)
    config, prefix = tasks.get(task).Config, f"{OPTIONS}.{task}"
    _restore(state.Data.READING, FIELDS, DataSpec, {"train": path}, (*_NAMES, "sheet", *REPAIRS))
    _restore(state.Data.OPTIONS, prefix, config, {}, tuple(config.model_fields))
    fields: spec_form.Values = {}
    with show_errors("sheet_error"):
        sheet = uploads.draw_sheet(path, f"{FIELDS}.sheet")
        fields |= {"sheet": sheet} if sheet else {}
    with st.expander(_("Reading the file"), icon=":material/tune:", key="data_reading"):
        fields |= spec_form.draw(DataSpec, FIELDS, only=_NAMES, columns=2)
        options = spec_form.draw(config, prefix, columns=2) if config.model_fields else {}
    fields |= {name: st.session_state[f"{FIELDS}.{name}"] for name in REPAIRS if f"{FIELDS}.{name}" in st.session_state}
    _remember(state.Data.READING, fields)
    _remember(state.Data.OPTIONS, options)
    return fields, options


def accept(changes: Mapping[str, object]) -> None:
    """Put fields of the data section into the page's form: what an offer proposes.

    Args:
        changes: by the name of the field.
    """
    offers.fill(changes, FIELDS, "data.columns")


def undo(name: str, entry: str | None = None) -> None:
    """Take a field of the data section out of the page's form again.

    Args:
        name: the field.
        entry: only this key of it, for a field that is a mapping.
    """
    key = f"{FIELDS}.{name}"
    rest = {each: value for each, value in (st.session_state.get(key) or {}).items() if each != entry} if entry else {}
    if rest:
        st.session_state[key] = rest
    else:
        st.session_state.pop(key, None)


def _forget_other_file(path: str) -> None:
    """Empty the settings that belong to another file, unless a link has just set them for this one."""
    before = st.session_state.get(FILE)
    st.session_state[FILE] = path
    if before in (None, path):
        return
    for key in [key for key in st.session_state if str(key).startswith((f"{FIELDS}.", f"{OPTIONS}."))]:
        del st.session_state[key]
    for choice in (state.Data.READING, state.Data.OPTIONS):
        st.session_state.pop(choice.key, None)
        if st.query_params.get(choice.param, "") == st.session_state.get(f"url.{choice.param}", ""):
            state.to_url(choice, "")


def _restore(
    choice: state.Linked, prefix: str, model: type[BaseModel], base: Mapping[str, object], names: tuple[str, ...]
) -> None:
    """Set the fields to what the link says; values that are not allowed are ignored."""
    keys = {name: f"{prefix}.{name}" for name in names}
    if any(key in st.session_state for key in keys.values()):
        held = {name: st.session_state[key] for name, key in keys.items() if st.session_state.get(key)}
        st.session_state[choice.key] = held
    state.from_url(choice, partial(_read, keys=keys, model=model, base=base))


def _read(
    text: str, keys: Mapping[str, str], model: type[BaseModel], base: Mapping[str, object]
) -> dict[str, object] | None:
    document = state.mapping(text)
    if document is None:
        return None
    values: dict[str, object] = {}
    for name in keys.keys() & document.keys():
        try:
            model.model_validate({**base, name: document[name]})
        except ValidationError:
            continue
        values[name] = st.session_state[keys[name]] = document[name]
    return values


def _remember(choice: state.Linked, values: Mapping[str, object]) -> None:
    st.session_state[choice.key] = dict(values)
    state.to_url(choice, json.dumps(values, ensure_ascii=False) if values else "")
