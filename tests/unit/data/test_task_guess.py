"""A file is opened with the task that it was made for, and with text classification in doubt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.check.task_guess import guess_task
from workbench.spec import DataSpec
from workbench.workspace import Workspace

DEFAULT = "text-classification"
ANSWER = {"text": "Bern", "answer_start": 0}
SQUAD = {"data": [{"paragraphs": [{"context": "Bern is old.", "qas": [{"question": "Where?", "id": "1", "answers": [ANSWER]}]}]}]}  # fmt: skip # noqa: E501
CHAT = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}


@pytest.mark.parametrize(
    ("name", "content", "task"),
    [
        ("a.csv", "text,label\n" + "a film,good\n" * 3, DEFAULT),
        ("a.csv", "Question (raw),Team / Category\n" + "a film,good\n" * 3, DEFAULT),
        ("a.csv", "text\n" + "a film\n" * 3, DEFAULT),
        ("a.conll", "Anna B-PER\nis O\n\nBob B-PER\nsleeps O\n", "token-classification"),
        ("a.json", json.dumps(SQUAD), "question-answering"),
        ("a.jsonl", (json.dumps(CHAT) + "\n") * 3, "dialogue"),
        ("a.csv", 'text,label\n"torn', DEFAULT),
    ],
)
def test_the_task_of_a_file(name: str, content: str, task: str, tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert guess_task(DataSpec.model_validate({"train": str(path)}), workspace, DEFAULT) == task
