"""Problems of a spec's data."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from workbench.data.catalogue import hub_rows
from workbench.data.catalogue.entries import DatasetEntry, catalogue
from workbench.data.catalogue.naming import find_entry, source_kind
from workbench.data.examples import SPLITS
from workbench.data.uploads import confined_path
from workbench.errors import UnknownNameError, WorkbenchError
from workbench.problem import Problem
from workbench.spec import DataSpec
from workbench.tasks.base import Task, tasks
from workbench.workspace import Workspace


def data_problems(data: DataSpec, confined: bool, workspace: Workspace) -> list[Problem]:
    """Return the problems of the ``data`` section.

    Args:
        data: the section.
        confined: allow only files inside the workspace's uploads.
        workspace: whose uploads.
    """
    problems = []
    for split in SPLITS:
        name = getattr(data, split)
        kind = None if name is None else source_kind(name, split)
        if kind == "hub":
            problems += _hub_problems(split, name, getattr(data.limit, split))
        elif kind == "path":
            problems += _file_problems(split, name, confined, workspace)
    if find_entry(data.train) is not None and (data.valid or data.test):
        message = "data.valid and data.test need a file in data.train; a data set of the catalogue has its own splits."
        problems.append(Problem("error", "data.test", message))
    problems += _split_problems(data)
    return problems


def has_split(data: DataSpec, split: str) -> bool:
    """Return whether a run has a split: from a file, from the catalogue, or held out.

    Args:
        data: the ``data`` section.
        split: ``valid`` or ``test``.
    """
    entry = find_entry(data.train)
    from_catalogue = entry.splits if entry is not None else {}
    return bool(getattr(data, split) or split in from_catalogue or getattr(data.holdout, split) > 0)


def catalogue_problems(data: DataSpec, task: Task) -> list[Problem]:
    """Return a problem if a data set of the catalogue lacks columns that a task needs.

    Args:
        data: the ``data`` section.
        task: the run's task.
    """
    entry = find_entry(data.train)
    missing = _missing_roles(task, entry, data.columns) if entry is not None else []
    if entry is None or not missing:
        return []
    suitable = ", ".join(fitting_datasets(task)) or "none in the catalogue, with these options"
    message = (
        f"{data.train} has no {' and no '.join(missing)} for {task.name}. Its columns: "
        f"{', '.join(entry.columns.values())}."
    )
    its_task = f" {data.train} is for task: {entry.task}." if entry.task in tasks else ""
    hint = f"Suitable for {task.name}: {suitable}.{its_task}"
    return [Problem("error", "data.train", message, hint)]


def fitting_datasets(task: Task) -> list[str]:
    """Return the names of the data sets in the catalogue that have every column that a task needs.

    Args:
        task: with its options.
    """
    return [name for name, entry in catalogue().datasets.items() if not _missing_roles(task, entry)]


def _missing_roles(task: Task, entry: DatasetEntry, mapped: Collection[str] = ()) -> list[str]:
    """Return the roles that a task needs and a data set lacks, by role or by a usual name, except the mapped ones."""
    names = {name.casefold() for name in (*entry.columns, *entry.columns.values())}
    return [
        column.role
        for column in task.columns()
        if column.required
        and column.role not in mapped
        and not names & {name.casefold() for name in (column.role, *column.guesses)}
    ]


def _file_problems(split: str, name: str, confined: bool, workspace: Workspace) -> list[Problem]:
    try:
        path = confined_path(workspace, name) if confined else Path(name).expanduser()
    except WorkbenchError as error:
        return [Problem("error", f"data.{split}", error.message, error.hint)]
    if os.path.isfile(path) or os.path.isdir(path):
        return []
    message = f"{name!r} is neither a file nor a data set of the catalogue."
    hint = str(UnknownNameError("data set", name, catalogue().datasets))
    return [Problem("error", f"data.{split}", message, hint)]


def _hub_problems(split: str, name: str, limit: int | None) -> list[Problem]:
    """Return the problems of rows that are streamed from the hub."""
    try:
        hub_rows.parse_reference(name)
    except WorkbenchError as error:
        return [Problem("error", f"data.{split}", error.message, error.hint)]
    if limit is None:
        message = f"data.{split} is streamed from the hub and needs a limit on its rows."
        return [Problem("error", f"data.limit.{split}", message, f"Set a number: limit: {{{split}: 100000}}.")]
    return []


def _split_problems(data: DataSpec) -> list[Problem]:
    """Return the problems of what is held out."""
    problems = []
    if not has_split(data, "test"):
        hint = "Set data.test, or a share for data.holdout.test."
        if has_split(data, "valid"):
            message = "There is no test split: the metrics will be those of the split that chooses the weights."
            problems.append(Problem("warning", "data.holdout.test", message, hint))
        else:
            message = "There is no test split: there is nothing to evaluate on."
            problems.append(Problem("error", "data.holdout.test", message, hint))
    if data.holdout.valid + data.holdout.test >= 1:
        message = "The shares of valid and test leave nothing to train on."
        problems.append(Problem("error", "data.holdout", message, "Keep their sum below 1."))
    return problems
