"""Another run that a task asks as a judge: whether it exists, and knows the labels of the texts."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.errors import RequestError, WorkbenchError
from workbench.problem import Problem
from workbench.runs.documents import BaseNote
from workbench.runs.run import Run
from workbench.tasks.base import Task
from workbench.workspace import Workspace

_FIELD = "task.judge"
_HINT = "Choose a text-classification run that was trained on the same labels."


def judge_problems(task: Task, workspace: Workspace) -> list[Problem]:
    """Return the problem of a judge that cannot judge any text.

    Args:
        task: with its options.
        workspace: where runs are.
    """
    name = task.judge_run()
    if name is None:
        return []
    try:
        note = _note(name, workspace)
    except WorkbenchError as error:
        return [Problem("error", _FIELD, error.message, error.hint)]
    if note.task.get("name") != "text-classification" or note.task.get("multi_label"):
        return [Problem("error", _FIELD, f"The run {name} does not predict one of several labels.", _HINT)]
    return []


def judge_label_problems(task: Task, labels: Sequence[str], workspace: Workspace) -> list[Problem]:
    """Return the problem of a judge that was trained on other labels than those of the texts.

    Args:
        task: with its options, and a judge without problems.
        labels: those of the texts; empty if they are not known.
        workspace: where runs are.
    """
    name = task.judge_run()
    if name is None or not labels:
        return []
    known = _note(name, workspace).labels
    if set(known) == set(labels):
        return []
    message = f"run:{name} predicts the labels {sorted(known)}, but the texts have the labels {sorted(labels)}."
    return [Problem("error", _FIELD, message, _HINT)]


def _note(name: str, workspace: Workspace) -> BaseNote:
    run = Run.open(name, workspace)
    note = run.base_note()
    if note is None:
        raise RequestError(*run.why_no_model())
    return note
