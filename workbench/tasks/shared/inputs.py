"""Checks and conversions of a user's inputs to a finished run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from workbench.data.cells.values import as_texts
from workbench.errors import DataError, SpecError
from workbench.spec import SpecModel
from workbench.tasks.contexts import TaskInput
from workbench.types import Json

ConfigT = TypeVar("ConfigT", bound=SpecModel)


def with_options(config: ConfigT, options: Mapping[str, Json] | None, task: str) -> ConfigT:
    """Return a task's options with some of them changed.

    Args:
        config: the options.
        options: the new values, by name.
        task: name of the task, for messages.

    Raises:
        SpecError: there is no such option, or the value is not allowed.
    """
    from pydantic import ValidationError

    try:
        return type(config).model_validate({**config.model_dump(), **(options or {})})
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise SpecError(
            f"Invalid options for {task}: {'; '.join(problems)}.",
            f"Options of {task}: {', '.join(type(config).model_fields)}.",
        ) from error


def read_list(inputs: TaskInput, role: str, number: int) -> Json:
    """Return the value of an input for a role that takes several texts; a string is read as in a CSV file.

    In a CSV file, such a value is a JSON array or a single text.

    Args:
        inputs: one input.
        role: a role that takes several texts.
        number: the input's number, from 1, for messages.

    Raises:
        DataError: a string begins like a JSON array but is not one.
    """
    value = inputs.get(role)
    if not isinstance(value, str):
        return value
    try:
        return list(as_texts(value))
    except ValueError as error:
        raise DataError(f"Input {number}: {role} {error}.", 'Write a list: ["...", "..."].') from error


def refuse_missing_texts(inputs: Sequence[TaskInput], roles: Sequence[str], hint: str) -> None:
    """Raise DataError for an input that lacks the text of a role.

    Args:
        inputs: the user's inputs.
        roles: the roles that must have a text.
        hint: what the user can do about it.
    """
    for number, each in enumerate(inputs, start=1):
        missing = [role for role in roles if not str(each.get(role) or "").strip()]
        if missing:
            raise DataError(f"Input {number} has no {' and no '.join(missing)}.", hint)
