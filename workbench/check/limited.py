"""What pages show of a stranger's data, as functions for :mod:`workbench.system.limited_process`: JSON in, JSON out.

They load data as a run does, and import no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from workbench.check.contents import load_examples, read_contents
from workbench.check.first_score import first_score
from workbench.check.resolving import make_task
from workbench.check.task_guess import guess_task
from workbench.data.bad_rows import rest_as_csv
from workbench.data.load import read_splits
from workbench.data.overview import find_near_duplicates, overview
from workbench.data.progress import Progress
from workbench.data.tables import read_tables
from workbench.models.base import models, split_source
from workbench.models.loading import make_source
from workbench.spec import DataSpec, RunSpec
from workbench.tasks.base import tasks
from workbench.types import JsonObject
from workbench.workspace import Workspace


def read_and_check(
    data: JsonObject,
    task: str,
    options: JsonObject,
    labels: list[str],
    root: str,
    everything: bool,
    model: str = "",
    model_options: JsonObject | None = None,
) -> dict[str, list[str]]:
    """Read the data of a spec, and let the task look at its examples.

    Args:
        data: the ``data`` section, with full paths.
        task: name of the task.
        options: its options.
        labels: those that the model was trained on, if any.
        root: the workspace.
        everything: read all rows, not only the first ones of large files.
        model: the model source; empty without one.
        model_options: its options.

    Returns:
        ``unread``: names of the files of which only the first rows were read. ``unchecked``: of those that were not
        read. ``labels``: those that the task learned.

    Raises:
        WorkbenchError: the run would fail.
    """
    entry = tasks.get(task)
    made = entry(entry.Config.model_validate(options))
    made.labels = list(labels)
    workspace, source = Workspace(Path(root)), None
    if model:
        config = models.get(split_source(model)[0]).Config.model_validate(model_options or {})
        source = make_source(model, workspace, config)
    result = read_contents(DataSpec.model_validate(data), made, source, workspace, everything, fetch=False)
    if result.error is not None:
        raise result.error
    return {"unread": list(result.unread), "unchecked": list(result.unchecked), "labels": list(result.labels)}


def read_overview(spec: JsonObject, root: str, progress: Progress | None = None) -> JsonObject:
    """Return :func:`workbench.data.overview.overview` of the data of a spec.

    Args:
        spec: the spec.
        root: the workspace.
        progress: called while a large file is read.

    Raises:
        DataError: the data cannot be used for this task.
        SpecError: an option of the task is not allowed.
    """
    parsed = RunSpec.model_validate(spec)
    task = make_task(parsed)
    dataset = load_examples(parsed.data, task, Workspace(Path(root)), progress)
    return cast("JsonObject", overview(dataset, task.columns()))


def read_near_duplicates(spec: JsonObject, root: str) -> list[JsonObject] | None:
    """Return :func:`workbench.data.overview.find_near_duplicates` of the data of a spec.

    Args:
        spec: the spec.
        root: the workspace.

    Raises:
        DataError: the data cannot be used for this task.
        SpecError: an option of the task is not allowed.
    """
    parsed = RunSpec.model_validate(spec)
    task = make_task(parsed)
    dataset = load_examples(parsed.data, task, Workspace(Path(root)))
    return cast("list[JsonObject] | None", find_near_duplicates(dataset, task.columns()))


def read_usable_rows(spec: JsonObject, root: str) -> str:
    """Return the rows of the training file that can be used, as CSV.

    Args:
        spec: the spec, with ``data.on_bad_rows: drop``.
        root: the workspace.

    Raises:
        DataError: the data cannot be used.
    """
    parsed, workspace = RunSpec.model_validate(spec), Workspace(Path(root))
    columns = make_task(parsed).columns()
    read = read_splits(parsed.data, columns, workspace)
    table = read_tables(parsed.data, None, columns, workspace)["train"]
    return rest_as_csv(table, read.extracted["train"].bad_rows, read.tables["train"].rows)


def read_first_score(spec: JsonObject, root: str, progress: Progress | None = None) -> JsonObject | None:
    """Return :func:`workbench.check.first_score.first_score` of a spec.

    Args:
        spec: the spec.
        root: the workspace.
        progress: called while a large file is read, and while the simple model learns.

    Raises:
        DataError: the data cannot be used for this task.
        SpecError: an option of the task is not allowed.
    """
    return cast("JsonObject | None", first_score(RunSpec.model_validate(spec), Workspace(Path(root)), progress))


def read_task(data: JsonObject, root: str, default: str) -> str:
    """Return :func:`workbench.check.task_guess.guess_task` of a file.

    Args:
        data: the ``data`` section of a spec.
        root: the workspace.
        default: the task to return in doubt.
    """
    return guess_task(DataSpec.model_validate(data), Workspace(Path(root)), default)
