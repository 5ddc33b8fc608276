"""Form fields generated from a pydantic model: from its fields, limits and descriptions, and nothing else.

A field of a spec is in the session under ``PREFIX.path.of.field``, so that tests and presets can set it by name.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Union, cast, get_args, get_origin

import streamlit as st
import yaml
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from dashboard.parts.shared.text import md
from workbench.errors import SpecError
from workbench.formatting import flatten
from workbench.i18n import N_, _
from workbench.yaml_text import load_yaml

Values = dict[str, object]
YAML = "YAML"
# Headings of options inside options, shown before the names of their fields.
GROUPS = {"limit": N_("limit"), "learning rate": N_("learning rate")}


def draw(
    model: type[BaseModel],
    prefix: str,
    only: Iterable[str] | None = None,
    skip: Iterable[str] = (),
    columns: int = 1,
    group: str = "",
    query: str = "",
) -> Values:
    """Draw the fields of a model.

    Args:
        model: whose fields.
        prefix: prefix of the session keys.
        only: draw these, in this order; by default all.
        skip: leave these out.
        columns: how many fields are side by side.
        group: text before each label, for fields whose names say little alone.
        query: draw only the fields that match these words; the others keep their values.

    Returns:
        The values that differ from the defaults.
    """
    names = list(only) if only is not None else [name for name in model.model_fields if name not in set(skip)]
    values: Values = {}
    nested = {name: inner for name in names if (inner := _nested_model(model.model_fields[name].annotation))}
    simple = [name for name in names if name not in nested]
    shown = [name for name in simple if _matches(name, model.model_fields[name], query, group)]
    cells = st.columns(columns) if shown else []
    for name in simple:
        field = model.model_fields[name]
        if name in shown:
            with cells[shown.index(name) % columns]:
                value = draw_field(name, field, f"{prefix}.{name}", field_label(name, group))
        else:
            value = _held_value(field, f"{prefix}.{name}")
        if value != _default(field):
            values[name] = value
    for name, inner in nested.items():  # options inside options are drawn together, below the others
        inner_values = draw(inner, f"{prefix}.{name}", columns=columns, group=name, query=query)
        if inner_values:
            values[name] = inner_values
    return values


def field_label(name: str, group: str = "") -> str:
    """Return the label of a field, translated.

    Args:
        name: name of the field.
        group: text before it.
    """
    label = _(name.replace("_", " "))
    if group:
        label = f"{_(group.replace('_', ' '))}: {label}"
    return label[:1].upper() + label[1:]


def count(model: type[BaseModel], query: str, skip: Iterable[str] = (), group: str = "") -> int:
    """Return how many fields of a model match these words.

    Args:
        model: whose fields.
        query: the words.
        skip: leave these fields out.
        group: text before each label.
    """
    total = 0
    for name in (name for name in model.model_fields if name not in set(skip)):
        field = model.model_fields[name]
        inner = _nested_model(field.annotation)
        total += count(inner, query, group=name) if inner else _matches(name, field, query, group)
    return total


def _matches(name: str, field: FieldInfo, query: str, group: str) -> bool:
    """Whether every word of the query is in the field's name or description, in English or translated."""
    description = field.description or ""
    names = f"{group} {name} {name.replace('_', ' ')} {field_label(name, group)}"
    text = f"{names} {description} {_(description)}".lower()
    return all(word in text for word in query.lower().split())


def _held_value(field: FieldInfo, key: str) -> object:
    """Return the value of a field that is not drawn now."""
    value, (kind, optional) = st.session_state.get(key, _default(field)), _kind(field.annotation)
    if kind is str:
        return value or (None if optional else "")
    if kind not in (bool, int, float) and get_origin(kind) is not Literal:
        value = _from_yaml(value) if isinstance(value, str) else value
    return _default(field) if value is None and not optional else value


def draw_field(name: str, field: FieldInfo, key: str, label: str | None = None) -> object:
    """Draw one field by its type, with its description as help.

    Args:
        name: name of the field.
        field: field of the model.
        key: key of the session.
        label: translated; by default made from the name.

    Returns:
        Its value; None for an empty field.
    """
    default, (kind, optional) = _default(field), _kind(field.annotation)
    if key not in st.session_state:
        st.session_state[key] = default if default is not None or optional else _empty(kind)
    label = label or field_label(name)
    help = md(_(field.description or ""), 600)
    if kind is bool and not optional:
        return st.checkbox(label, key=key, help=help, persist_state="session")
    if get_origin(kind) is Literal:
        return _literal(label, field, key, help)
    if kind in (int, float):
        return _number(label, field, key, help)
    if kind is str:
        text = st.text_input(
            label, value=None, max_chars=_max_length(field), key=key, help=help, persist_state="session"
        )
        return text or (None if optional else "")
    value = st.session_state[key]
    if value is not None and not isinstance(value, str):  # a list, say, from a preset
        st.session_state[key] = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True).strip()
    text = st.text_input(label, value=None, placeholder=YAML, key=key, help=help, persist_state="session")
    return _from_yaml(text) if text or optional else default


def _literal(label: str, field: FieldInfo, key: str, help: str) -> object:
    kind, optional = _kind(field.annotation)
    options: Sequence[str] = get_args(kind)
    if not optional:
        return st.selectbox(label, options, key=key, help=help, persist_state="session")
    placeholder = _("none") if _default(field) is not None else _meaning_of_empty(field)
    return st.selectbox(
        label, options, index=None, placeholder=placeholder, key=key, help=help, persist_state="session"
    )


def _number(label: str, field: FieldInfo, key: str, help: str) -> object:
    default, (kind, optional) = _default(field), _kind(field.annotation)
    low, high = _limits(field, kind)
    step: int | float = 1
    if kind is float:
        step = abs(default) / 5 if isinstance(default, int | float) and default else 0.01
    value = st.session_state[key]
    if value is not None:
        value = kind(value)
        value = value if low is None else max(low, value)
        st.session_state[key] = value if high is None else min(high, value)
    result = st.number_input(
        label,
        value=None,
        min_value=low,
        max_value=high,
        step=step,
        format="%g" if kind is float else None,
        placeholder=_meaning_of_empty(field),
        key=key,
        help=help,
        persist_state="session",
    )
    return default if result is None and not optional else result


def _limits(field: FieldInfo, kind: type[int] | type[float]) -> tuple[float | None, float | None]:
    """Return the least and greatest value. The check refuses the open limit of a float."""
    low: float | None = None
    high: float | None = None
    for limit in field.metadata:
        if isinstance(limit, Ge):
            low = kind(cast(float, limit.ge))
        elif isinstance(limit, Le):
            high = kind(cast(float, limit.le))
        elif isinstance(limit, Gt) and kind is int:
            low = int(cast(int, limit.gt)) + 1
        elif isinstance(limit, Lt) and kind is int:
            high = int(cast(int, limit.lt)) - 1
    return low, high


def _meaning_of_empty(field: FieldInfo) -> str:
    """Return what an empty field means, from its description: ``empty for all``."""
    match = re.search(r"empty for ([\w' ]+)", field.description or "")
    return _(match[1]) if match and len(match[1]) < 16 else _("automatic")


def _max_length(field: FieldInfo) -> int | None:
    return next((limit.max_length for limit in field.metadata if hasattr(limit, "max_length")), None)


def _default(field: FieldInfo) -> object:
    default: object = field.get_default(call_default_factory=True)
    return None if default is PydanticUndefined else default


def _kind(annotation: Any) -> tuple[Any, bool]:
    """Return the type of a field without ``None``, and whether ``None`` is allowed."""
    if get_origin(annotation) in (Union, types.UnionType):
        others = [part for part in get_args(annotation) if part is not type(None)]
        return (others[0] if len(others) == 1 else object), len(others) < len(get_args(annotation))
    return annotation, False


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    kind = _kind(annotation)[0]
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _empty(kind: object) -> object:
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    return {bool: False, str: ""}.get(cast(type, kind))


def _from_yaml(text: str | None) -> object:
    try:
        return load_yaml(text, "the field") if text else None
    except SpecError:
        return text  # the check reports what is wrong with it


# -- a whole document into the form ------------------------------------------------------------------------------


def fill(document: Mapping[str, object], prefix: str) -> None:
    """Set the form to a document; every field that the document leaves out returns to its default.

    Args:
        document: nested values.
        prefix: prefix of the session keys.
    """
    for key in [key for key in st.session_state if isinstance(key, str) and key.startswith(f"{prefix}.")]:
        del st.session_state[key]
    for path, value in flatten(document).items():
        st.session_state[f"{prefix}.{path}"] = value
