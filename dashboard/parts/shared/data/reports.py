"""What a data set contains, computed once for all pages that show it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import streamlit as st

from workbench.check import make_task
from workbench.check.contents import load_examples
from workbench.data.catalogue.naming import source_kind
from workbench.data.columns import Column
from workbench.data.examples import SPLITS
from workbench.data.load import Dataset
from workbench.data.near_duplicates import OverlapRecord
from workbench.data.overview import Overview, find_near_duplicates, overview
from workbench.data.readers.limits import COMPARING, UPLOAD
from workbench.errors import DataError
from workbench.runs.report_notes import from_json
from workbench.spec import ModelChoice, RunSpec
from workbench.system.limited_process import call
from workbench.workspace import Workspace


def changed(spec: RunSpec) -> int:
    """Return when an upload changed, as a number: what is cached of it is outdated then.

    Args:
        spec: whose data.
    """
    names = {split: name for split in SPLITS if (name := getattr(spec.data, split))}
    paths = [Path(name) for split, name in names.items() if source_kind(name, split) == "path"]
    return sum(path.stat().st_mtime_ns for path in paths if path.is_absolute() and path.is_file())


def read_overview(spec: RunSpec, workspace: Workspace) -> Overview:
    """Return what the data of a spec contain.

    Args:
        spec: whose data.
        workspace: whose cache is used.

    Raises:
        DataError: the data cannot be used for this task.
        SpecError: an option of the task is not allowed.
    """
    result = _overview(_only_data(spec), changed(spec), str(workspace.root))
    if isinstance(result, DataError):
        raise result
    return result


def near_duplicates(spec: RunSpec, workspace: Workspace) -> list[OverlapRecord] | None:
    """Return the near-duplicates between the splits of a spec; None if there are too many texts.

    Args:
        spec: whose data.
        workspace: whose cache is used.

    Raises:
        DataError: the data cannot be used.
    """
    result = _near_duplicates(_only_data(spec), changed(spec), str(workspace.root))
    if isinstance(result, DataError):
        raise result
    return result


def data_notes(spec: RunSpec, workspace: Workspace) -> list[str]:
    """Return the notes on a spec's data, warnings first.

    Args:
        spec: whose data.
        workspace: whose cache is used.

    Raises:
        DataError: the data cannot be used.
    """
    return from_json(read_overview(spec, workspace)["notes"])


def usable_rows(spec: RunSpec, workspace: Workspace) -> str:
    """Return the rows of the training file that can be used, as CSV.

    Args:
        spec: with a file of the user and ``data.on_bad_rows: drop``.
        workspace: whose cache is used.

    Raises:
        DataError: the data cannot be used.
    """
    arguments = {"spec": spec.model_dump(mode="json", exclude_unset=True), "root": str(workspace.root)}
    return cast("str", call("workbench.check.limited:read_usable_rows", arguments, UPLOAD))


def _only_data(spec: RunSpec) -> str:
    """Return the spec as it is for every model and training: the cache's key."""
    return RunSpec(task=spec.task, data=spec.data, model=ModelChoice(source="minilm")).model_dump_json(
        exclude_unset=True
    )


# An error of the data is a result, too: a file that takes long to refuse is not read again at each redraw.
@st.cache_data(show_spinner=False, max_entries=4, ttl=3600)
def _overview(document: str, when: int, root: str) -> Overview | DataError:
    spec = RunSpec.model_validate_json(document)
    try:
        if _is_own_file(spec):
            arguments = {"spec": json.loads(document), "root": root}
            return cast("Overview", call("workbench.check.limited:read_overview", arguments, UPLOAD))
        return overview(*_load(spec, root))
    except DataError as error:
        return error


@st.cache_data(show_spinner=False, max_entries=4, ttl=3600)
def _near_duplicates(document: str, when: int, root: str) -> list[OverlapRecord] | DataError | None:
    spec = RunSpec.model_validate_json(document)
    try:
        if _is_own_file(spec):
            arguments = {"spec": json.loads(document), "root": root}
            result = call("workbench.check.limited:read_near_duplicates", arguments, COMPARING)
            return cast("list[OverlapRecord] | None", result)
        return find_near_duplicates(*_load(spec, root))
    except DataError as error:
        return error


def _is_own_file(spec: RunSpec) -> bool:
    """Return whether the data is a file of the user, which is read in a process with limits."""
    return source_kind(spec.data.train) == "path"


def _load(spec: RunSpec, root: str) -> tuple[Dataset, Sequence[Column]]:
    task = make_task(spec)
    return load_examples(spec.data, task, Workspace(Path(root))), task.columns()
