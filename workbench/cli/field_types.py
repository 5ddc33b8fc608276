"""The types of a spec's fields, as far as ``--set FIELD=VALUE`` needs them to read a value."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from workbench.errors import UnknownNameError
from workbench.models.base import models, split_source
from workbench.spec import Choice, RunSpec, SpecModel
from workbench.tasks.base import tasks
from workbench.tuning.base import tunings


@dataclass(frozen=True)
class FieldType:
    """What a field holds.

    Attributes:
        text: whether a text is allowed, and nothing else but texts.
        texts: whether a list or a dictionary of texts is allowed, and nothing else but texts.
        optional: whether it may be empty.
        section: whether it has fields of its own; text is then short for the most important one.
    """

    text: bool = False
    texts: bool = False
    optional: bool = False
    section: bool = False


def field_type(path: str, spec: RunSpec, changes: Mapping[str, str]) -> FieldType:
    """Return what the field at a dotted path holds; nothing if there is no such field.

    Args:
        path: such as ``data.columns.label``, or an option of the task, the model or the fine-tuning method.
        spec: says which task, model and fine-tuning method these are.
        changes: texts by path that will be set in the spec.
    """
    annotation: object = RunSpec
    for key in path.split("."):
        if get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
            continue
        fields: Mapping[str, FieldInfo] = annotation.model_fields if _is_section(annotation) else {}
        if key not in fields and _is_choice(annotation):
            fields = _option_fields(path.partition(".")[0], spec, changes)
        if key not in fields:
            return FieldType()
        annotation = _without_metadata(fields[key].annotation)
    return _classify(annotation)


def _option_fields(section: str, spec: RunSpec, changes: Mapping[str, str]) -> Mapping[str, FieldInfo]:
    """Return the options of the spec's task, model or fine-tuning method; empty if it has no such entry."""
    try:
        if section == "task":
            return tasks.get(changes.get("task") or changes.get("task.name") or spec.task.name).Config.model_fields
        if section == "model":
            source = changes.get("model") or changes.get("model.source") or spec.model.source
            return models.get(split_source(source)[0]).Config.model_fields
        method = changes.get("tuning") or changes.get("tuning.method") or spec.tuning.method
        return tunings.get(method).Config.model_fields
    except UnknownNameError:
        return {}


def _without_metadata(annotation: object) -> object:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _is_section(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, SpecModel | Choice)


def _is_choice(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Choice)


def _classify(annotation: object) -> FieldType:
    if _is_section(annotation):
        return FieldType(section=True)
    members = _members(annotation)
    values = [each for each in members if each is not type(None)]
    if not values or not all(map(_holds_text, values)):
        return FieldType()
    texts = [get_origin(each) in (list, dict) for each in values]
    return FieldType(text=not all(texts), texts=any(texts), optional=len(values) < len(members))


def _members(annotation: object) -> list[object]:
    """Return the types of a union; a type alone if it is none."""
    union = get_origin(annotation) in (Union, types.UnionType)
    return [_without_metadata(each) for each in (get_args(annotation) if union else (annotation,))]


def _holds_text(annotation: object) -> bool:
    """Return whether a type holds nothing but texts."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return all(isinstance(value, str) for value in arguments)
    if origin in (list, dict):
        return all(map(_holds_text, _members(arguments[-1])))
    return annotation is str
