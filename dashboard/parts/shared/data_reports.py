"""What a data set contains, computed once for all pages that show it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from workbench.check import make_task
from workbench.check.contents import load_examples
from workbench.data.bad_rows import rest_as_csv
from workbench.data.columns import Column
from workbench.data.load import Dataset, read_splits
from workbench.data.near_duplicates import OverlapRecord
from workbench.data.overview import Overview, find_near_duplicates, overview
from workbench.data.tables import read_tables
from workbench.runs.report_notes import from_json
from workbench.spec import ModelChoice, RunSpec
from workbench.workspace import Workspace


def changed(spec: RunSpec) -> int:
    """Return when an upload changed, as a number: what is cached of it is outdated then.

    Args:
        spec: whose data.
    """
    paths = [Path(name) for name in (spec.data.train, spec.data.valid, spec.data.test) if name]
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
    return _overview(_only_data(spec), changed(spec), str(workspace.root))


def near_duplicates(spec: RunSpec, workspace: Workspace) -> list[OverlapRecord] | None:
    """Return the near-duplicates between the splits of a spec; None if there are too many texts.

    Args:
        spec: whose data.
        workspace: whose cache is used.

    Raises:
        DataError: the data cannot be used.
    """
    return _near_duplicates(_only_data(spec), changed(spec), str(workspace.root))


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
    columns = make_task(spec).columns()
    read = read_splits(spec.data, columns, workspace)
    table = read_tables(spec.data, None, columns, workspace)["train"]
    return rest_as_csv(table, read.extracted["train"].bad_rows, read.tables["train"].rows)


def _only_data(spec: RunSpec) -> str:
    """Return the spec as it is for every model and training: the cache's key."""
    return RunSpec(task=spec.task, data=spec.data, model=ModelChoice(source="minilm")).model_dump_json()


@st.cache_data(show_spinner=False, max_entries=4)
def _overview(document: str, when: int, root: str) -> Overview:
    return overview(*_load(document, root))


@st.cache_data(show_spinner=False, max_entries=4)
def _near_duplicates(document: str, when: int, root: str) -> list[OverlapRecord] | None:
    return find_near_duplicates(*_load(document, root))


def _load(document: str, root: str) -> tuple[Dataset, Sequence[Column]]:
    spec = RunSpec.model_validate_json(document)
    task = make_task(spec)
    return load_examples(spec.data, task, Workspace(Path(root))), task.columns()
