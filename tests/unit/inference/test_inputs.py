"""The input fields of each task, and inputs restored from a run's predictions."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.inference.inputs import input_fields, inputs_from_row
from workbench.tasks.base import Task, tasks


def task(name: str) -> Task:
    entry = tasks.get(name)
    return entry(entry.Config())


def roles(name: str) -> list[str]:
    return [column.role for column in input_fields(task(name))]


@pytest.mark.parametrize("name", tasks.names())
def test_every_task_has_text_fields(name: str) -> None:
    fields = input_fields(task(name))
    assert fields and {column.kind for column in fields} <= {"text", "texts"}
    assert len({column.role for column in fields}) == len(fields)


def test_a_role_that_repeats_another_is_not_required() -> None:
    assert roles("token-classification") == ["text"]
    assert roles("code-generation") == ["prompt"]
    assert roles("dialogue") == ["text", "turns"]
    assert roles("multiple-choice") == ["context", "choices"]


@pytest.mark.parametrize(
    ("name", "row", "inputs"),
    [
        ("text-classification", {"text": "a ⟂ b"}, {"text": "a ⟂ b"}),
        ("question-answering", {"question": "who?", "context": "Ada"}, {"question": "who?", "context": "Ada"}),
        ("multiple-choice", {"context": "c", "choices": ["x", "y"]}, {"context": "c", "choices": ["x", "y"]}),
        ("multiple-choice", {"context": "c"}, {}),
        ("dialogue", {"turns": ["a", "b", "c"]}, {"turns": ["a", "b", "c"]}),
        ("recommendation", {"history": "a", "candidate": "b"}, {"history": "a", "candidate": "b"}),
    ],
)
def test_inputs_are_restored_from_a_row_of_predictions(name: str, row: dict[str, Any], inputs: dict[str, Any]) -> None:
    assert inputs_from_row(input_fields(task(name)), row) == inputs


@pytest.mark.parametrize(
    ("name", "text", "inputs"),
    [
        ("text-classification", "a ⟂ b", {"text": "a ⟂ b"}),
        ("question-answering", "who? ⟂ Ada ⟂ Eve", {"question": "who?", "context": "Ada ⟂ Eve"}),
        ("multiple-choice", "c ⟂ x | y", {"context": "c", "choices": ["x", "y"]}),
        ("multiple-choice", "no mark", {}),
        ("dialogue", "anything", {}),
    ],
)
def test_inputs_are_restored_from_a_row_of_an_older_file(name: str, text: str, inputs: dict[str, Any]) -> None:
    assert inputs_from_row(input_fields(task(name)), {"input": text}) == inputs
