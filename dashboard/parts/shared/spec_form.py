"""Form fields made from a pydantic model: the model's fields, limits and descriptions are all that it knows.

A field of a spec lives in the session under ``PREFIX.path.of.field``, so that tests and presets can set it by name.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterable
from typing import Any, Literal, Union, get_args, get_origin

import streamlit as st
import yaml
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from dashboard.parts.shared.text import md
from workbench.formatting import flatten


def draw(
    model: type[BaseModel],
    prefix: str,
    only: Iterable[str] | None = None,
    skip: Iterable[str] = (),
    columns: int = 1,
    group: str = "",
    find: str = "",
) -> dict[str, Any]:
    """Draw the fields of ``model``.

    Args:
        model: whose fields.
        prefix: of the session keys.
        only: draw these, in this order; by default all.
        skip: leave these out.
        columns: side by side.
        group: what stands before each label, for fields whose names say little alone.
        find: draw only what these words are found in; the others keep what they were given.

    Returns:
        What was given, without the fields that have their default value.
    """
    names = list(only) if only is not None else [name for name in model.model_fields if name not in set(skip)]
    given: dict[str, Any] = {}
    inner = {name: below for name in names if (below := _model_in(model.model_fields[name].annotation))}
    shown = [name for name in names if name not in inner and _is_found(name, model.model_fields[name], find, group)]
    places = st.columns(columns) if shown else []
    for name in (name for name in names if name not in inner):
        field = model.model_fields[name]
        label = f"{group}: {name}".strip(": ").replace("_", " ").capitalize()
        if name in shown:
            with places[shown.index(name) % columns]:
                value = draw_field(name, field, f"{prefix}.{name}", label)
        else:
            value = _given(field, f"{prefix}.{name}")
        if value != _default(field):
            given[name] = value
    for name, below in inner.items():  # options inside options stand together, below the others
        found = draw(below, f"{prefix}.{name}", columns=columns, group=name, find=find)
        if found:
            given[name] = found
    return given


def count(model: type[BaseModel], find: str, skip: Iterable[str] = (), group: str = "") -> int:
    """How many fields of ``model`` these words are found in."""
    found = 0
    for name in (name for name in model.model_fields if name not in set(skip)):
        field = model.model_fields[name]
        below = _model_in(field.annotation)
        found += count(below, find, group=name) if below else _is_found(name, field, find, group)
    return found


def _is_found(name: str, field: FieldInfo, find: str, group: str) -> bool:
    """Whether every word of ``find`` stands in the field's name or description."""
    text = f"{group} {name} {name.replace('_', ' ')} {field.description or ''}".lower()
    return all(word in text for word in find.lower().split())


def _given(field: FieldInfo, key: str) -> Any:
    """The value of a field that is not drawn now."""
    value, (kind, optional) = st.session_state.get(key, _default(field)), _kind(field.annotation)
    if kind is str:
        return value or (None if optional else "")
    if kind not in (bool, int, float) and get_origin(kind) is not Literal:
        return _from_yaml(value) if isinstance(value, str) else value
    return _default(field) if value is None and not optional else value


def draw_field(name: str, field: FieldInfo, key: str, label: str | None = None) -> Any:
    """One field, drawn by its type, with its description as help. Returns the value; None for an empty field."""
    default, kind, optional = _default(field), *_kind(field.annotation)
    if key not in st.session_state:
        st.session_state[key] = default if default is not None or optional else _empty(kind)
    label = label or name.replace("_", " ").capitalize()
    options: dict[str, Any] = {"key": key, "help": md(field.description or "", 600), "persist_state": "session"}
    if kind is bool and not optional:
        return st.checkbox(label, **options)
    if get_origin(kind) is Literal:
        empty = "none" if default is not None else _when_empty(field)
        can_be_empty = {"index": None, "placeholder": empty} if optional else {}
        return st.selectbox(label, get_args(kind), **can_be_empty, **options)
    if kind in (int, float):
        return _number(label, field, kind, default, options)
    if kind is str:
        text = st.text_input(label, value=None, max_chars=_longest(field), **options)
        return text or (None if optional else "")
    value = st.session_state[key]
    if value is not None and not isinstance(value, str):  # a list, say, from a preset
        st.session_state[key] = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True).strip()
    return _from_yaml(st.text_input(label, value=None, placeholder="YAML", **options))


def _number(label: str, field: FieldInfo, kind: type, default: Any, options: dict[str, Any]) -> Any:
    low, high = _limits(field, kind)
    if kind is int:
        limits = {"min_value": low, "max_value": high, "step": 1}
        shown = None
    else:
        limits = {"min_value": low, "max_value": high, "step": abs(default) / 5 if default else 0.01}
        shown = "%g"
    value = st.session_state[options["key"]]
    if value is not None:
        value = kind(value)
        value = value if low is None else max(low, value)
        st.session_state[options["key"]] = value if high is None else min(high, value)
    found = st.number_input(label, value=None, format=shown, placeholder=_when_empty(field), **limits, **options)
    return default if found is None and not _kind(field.annotation)[1] else found


def _limits(field: FieldInfo, kind: type) -> tuple[Any, Any]:
    """The least and greatest value. A float's open limit is left to the check: there is no next number to name."""
    low = high = None
    for limit in field.metadata:
        if isinstance(limit, Ge):
            low = kind(limit.ge)
        elif isinstance(limit, Le):
            high = kind(limit.le)
        elif isinstance(limit, Gt) and kind is int:
            low = int(limit.gt) + 1  # type: ignore[call-overload]
        elif isinstance(limit, Lt) and kind is int:
            high = int(limit.lt) - 1  # type: ignore[call-overload]
    return low, high


def _when_empty(field: FieldInfo) -> str:
    """What an empty field means, as its description says: ``empty for all``."""
    found = re.search(r"empty for ([\w' ]+)", field.description or "")
    return found[1] if found and len(found[1]) < 16 else "automatic"


def _longest(field: FieldInfo) -> int | None:
    return next((limit.max_length for limit in field.metadata if hasattr(limit, "max_length")), None)


def _default(field: FieldInfo) -> Any:
    default = field.get_default(call_default_factory=True)
    return None if default is PydanticUndefined else default


def _kind(annotation: Any) -> tuple[Any, bool]:
    """The type of a field without ``None``, and whether ``None`` was allowed."""
    if get_origin(annotation) in (Union, types.UnionType):
        others = [part for part in get_args(annotation) if part is not type(None)]
        return (others[0] if len(others) == 1 else Any), len(others) < len(get_args(annotation))
    return annotation, False


def _model_in(annotation: Any) -> type[BaseModel] | None:
    kind, _ = _kind(annotation)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _empty(kind: Any) -> Any:
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    return {bool: False, str: ""}.get(kind)


def _from_yaml(text: str | None) -> Any:
    try:
        return yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        return text  # the check says what is wrong with it


# -- a whole document into the form ------------------------------------------------------------------------------


def fill(document: dict[str, Any], prefix: str) -> None:
    """Set the form to ``document``; every field that it does not name goes back to its default."""
    for key in [key for key in st.session_state if isinstance(key, str) and key.startswith(f"{prefix}.")]:
        del st.session_state[key]
    for path, value in flatten(document).items():
        st.session_state[f"{prefix}.{path}"] = value
